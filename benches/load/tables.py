"""Tables, for the terminal and for the README."""

from collections.abc import Sequence
from dataclasses import dataclass

from intake import Figures, Memory
from start_up import StartUp

Row = Sequence[str]


@dataclass(frozen=True)
class Table:
    head: Row
    rows: list[Row]
    words: int = 1
    """How many columns hold words; the others hold figures."""


def of_intake(figures: list[Figures]) -> Table:
    head = ("load", "server", "msg/s", "p50 ms", "p99 ms", "CPU µs/msg, server", "database")
    # By load, so that what is to be compared stands together.
    loads = list(dict.fromkeys(figure.load for figure in figures))
    by_load = sorted(figures, key=lambda figure: loads.index(figure.load))
    return Table(head, [row_of(figure) for figure in by_load], words=2)


def row_of(figure: Figures) -> Row:
    latencies = f"{figure.p50_ms:.2f}", f"{figure.p99_ms:.2f}"
    costs = f"{figure.server_us:,.0f}", f"{figure.database_us:,.0f}"
    return figure.load, figure.server, f"{figure.per_second:,.0f}", *latencies, *costs


def of_memory(memory: list[Memory]) -> Table:
    rows = [(each.server, f"{each.at_rest_mib:.0f}", f"{each.after_load_mib:.0f}") for each in memory]
    return Table(("server", "MiB at rest", "after the load"), rows)


def of_start_up(starts: list[StartUp]) -> Table:
    rows = [(f"pms on {each.database}", f"{each.median_ms:.0f}", f"{each.slowest_ms:.0f}") for each in starts]
    return Table(("start on an empty database", "ms to ready, median", "slowest"), rows)


def text(table: Table, markdown: bool) -> str:
    rows = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [line([pad(cells, index, widths, table.words) for index in range(len(cells))], markdown) for cells in rows]
    if markdown:
        rule = ["-" * width + ("-" if index < table.words else ":") for index, width in enumerate(widths)]
        lines.insert(1, f"|-{'|-'.join(rule)}|")
    return "\n".join(lines)


def pad(cells: Row, index: int, widths: list[int], words: int) -> str:
    return cells[index].ljust(widths[index]) if index < words else cells[index].rjust(widths[index])


def line(cells: list[str], markdown: bool) -> str:
    return f"| {' | '.join(cells)} |" if markdown else "  ".join(cells).rstrip()
