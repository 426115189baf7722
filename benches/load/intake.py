"""How fast a server takes results in, and what that costs."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import reports
import service
from processes import cpu_us, ended_children_cpu_us, family_cpu_us, machine_cpu_us, resident_mib
from report import Mismatch, expect
from servers import Candidate, Server


@dataclass(frozen=True)
class Load:
    """With a rate, messages leave when they are due; without one, as soon as a connection has its answer."""

    name: str
    connections: int
    spans: int
    """How long, as a multiple of the time that was asked for."""
    rate: int | None = None


LOADS = (
    Load("1 connection", 1, 1),
    Load("16 connections", 16, 1),
    Load("64 connections", 64, 1),
    Load("100 msg/s, evenly", 16, 2, 100),
)
WARM_UP = 0.3
"""Part of the time that was asked for."""
QUIET = 0.1
"""Part of the processors that others may take before a figure is doubtful."""


@dataclass(frozen=True)
class Figures:
    load: str
    server: str
    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    """Processor time per message, in microseconds."""
    database_us: float
    elsewhere: float
    """Part of the processors that went to what has no part in this: the higher, the less the figures say."""


@dataclass(frozen=True)
class Memory:
    server: str
    at_rest_mib: float
    after_load_mib: float


def measure(candidate: Candidate, seconds: float) -> tuple[list[Figures], Memory]:
    with candidate.start() as server, service.fresh_directory() as directory:
        # What it needed for its start alone is given back by then.
        time.sleep(2)
        at_rest = resident_mib(server.pid)
        server.make_patients()
        file = directory / "reports.hl7"
        reports.write(file)
        accepted, figures = 0, []
        for load in LOADS:
            say(f"{candidate.name}: {load.name}")
            accepted += send(server, file, load, seconds * WARM_UP)["accepted"]
            before = clocks(server)
            answers = send(server, file, load, seconds * load.spans)
            spent = {clock: now - before[clock] for clock, now in clocks(server).items()}
            accepted += answers["accepted"]
            figures.append(figures_of(candidate.name, load, answers, spent))
            warn_if_disturbed(figures[-1])
        check_stored(server, accepted)
        return figures, Memory(candidate.name, at_rest, resident_mib(server.pid))


def send(server: Server, file: Path, load: Load, seconds: float) -> dict:
    """The sender's own report. It runs beside the server and takes its share of the processors."""
    command = [service.BINARY, "sim", "send", "--json", "--input", file, "--port", server.mllp_port]
    command += ["--connections", load.connections, "--seconds", seconds]
    command += ["--rate", load.rate] if load.rate else []
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=seconds + 60
    )
    if not done.stdout:
        raise Mismatch("the sender gave no report; see above")
    answers = json.loads(done.stdout)
    expect(answers["outcomes"], {"AA": answers["sent"]}, "answers")
    return answers


def clocks(server: Server) -> dict[str, int]:
    """Processor time of everybody who has a part in this, and of the whole machine, in microseconds."""
    return {
        "server": cpu_us(server.pid),
        "database": family_cpu_us(server.database_pid),
        "sender": ended_children_cpu_us(),
        "wall": time.monotonic_ns() // 1000 * (os.cpu_count() or 1),
        "machine": machine_cpu_us(),
    }


def figures_of(server: str, load: Load, answers: dict, spent: dict[str, int]) -> Figures:
    latency, count = answers["ack_latency_ms"], answers["accepted"]
    elsewhere = spent["machine"] - spent["server"] - spent["database"] - spent["sender"]
    return Figures(
        load.name,
        server,
        answers["per_second"],
        latency["p50"],
        latency["p99"],
        spent["server"] / count,
        spent["database"] / count,
        max(0.0, elsewhere / spent["wall"]),
    )


def warn_if_disturbed(figures: Figures) -> None:
    if figures.elsewhere > QUIET:
        say(f"  disturbed: something else took {figures.elsewhere:.0%} of the processors")


def check_stored(server: Server, accepted: int) -> None:
    """A server that answers without storing would win."""
    messages, results = (int(count) for count in server.sql(server.stored)[0].split("|"))
    expect(messages, accepted, "messages stored, against those accepted")
    expect(results, reports.RESULTS_PER_MESSAGE * accepted, "results stored in charts")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
