"""What the system says of running processes."""

import os
from pathlib import Path

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def numbers_after_name(pid: int) -> list[int]:
    """`/proc/PID/stat` from the parent's id on. The name before may hold anything, spaces and brackets included."""
    return [int(number) for number in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1:]]


def cpu_us(pid: int) -> int:
    """Processor time of a process and all its threads so far, in microseconds."""
    user, system = numbers_after_name(pid)[10:12]
    return (user + system) * TICK_US


def family_cpu_us(parent: int) -> int:
    """Processor time of a process and its children, those that ended included, in microseconds."""
    total = sum(numbers_after_name(parent)[10:14]) * TICK_US
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                is_child = numbers_after_name(int(entry.name))[0] == parent
                total += cpu_us(int(entry.name)) if is_child else 0
            except (FileNotFoundError, ProcessLookupError):
                # It ended while we looked; if it was a child, its parent counts it from now on.
                continue
    return total


def machine_cpu_us() -> int:
    """Processor time that anything on this machine used so far, in microseconds."""
    user, nice, system, _idle, _waiting, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    return (user + nice + system + irq + softirq) * TICK_US


def ended_children_cpu_us() -> int:
    """Processor time of the programs that we started and that ended, in microseconds."""
    times = os.times()
    return round((times.children_user + times.children_system) * 1_000_000)


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
