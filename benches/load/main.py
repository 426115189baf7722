"""Runs the benchmark; `benches/intake` starts it."""

import argparse
import signal
import sys

import intake
import machine
import start_up
import tables
from report import Mismatch
from servers import CANDIDATES


def arguments() -> argparse.Namespace:
    keys = [candidate.key for candidate in CANDIDATES]
    parser = argparse.ArgumentParser(prog="benches/intake", description="Measures how fast results are taken in.")
    parser.add_argument("--markdown", action="store_true", help="print tables for the README")
    parser.add_argument("--seconds", type=float, default=10, help="of each load; the even one takes twice as long")
    parser.add_argument("--only", choices=keys, action="append", help="measure this server; may stand more than once")
    return parser.parse_args()


def run(chosen: argparse.Namespace) -> str:
    keys = chosen.only or [candidate.key for candidate in CANDIDATES]
    description, figures, memory = machine.description(with_baselines=keys != ["pms"]), [], []
    for candidate in CANDIDATES:
        if candidate.key in keys:
            of_loads, of_memory = intake.measure(candidate, chosen.seconds)
            figures += of_loads
            memory.append(of_memory)
    parts = [tables.of_intake(figures), tables.of_memory(memory)]
    if "pms" in keys:
        parts.append(tables.of_start_up(start_up.measure()))
    busiest = max(figure.elsewhere for figure in figures)
    description += f"; everything else took {busiest:.0%} of the processors at most."
    return "\n\n".join([description, *(tables.text(table, chosen.markdown) for table in parts)])


def main() -> int:
    # What a terminal sends with Ctrl-C already ends us as an exception; the same for those who end us otherwise, so
    # that every `finally` on the way out stops its server.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        print(run(arguments()))
    except Mismatch as fault:
        print(f"benches/intake: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
