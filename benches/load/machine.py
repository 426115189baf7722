"""What the figures were measured on."""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import service
import servers
import tools

SYNCS = 200


def description(with_baselines: bool) -> str:
    with service.postgres() as url:
        sql = servers.sql_of(url)
        version = sql("SHOW server_version")[0].split()[0]
        durability = ", ".join(f"{name} {sql(f'SHOW {name}')[0]}" for name in ("fsync", "synchronous_commit"))
    parts = [
        f"{len(os.sched_getaffinity(0))} cores of {processor()}",
        f"PostgreSQL {version} ({durability}, {syncs_per_second():,.0f} fdatasync/s)",
        "load generator, server and database on the same cores",
        *(tools.versions() if with_baselines else []),
    ]
    return "; ".join(parts)


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else os.uname().machine


def syncs_per_second() -> float:
    """Of 8 kB each, on the file system of the databases: a commit costs at least one."""
    with tempfile.TemporaryFile(dir="/tmp") as file:
        file.write(bytes(8192 * SYNCS))
        os.fsync(file.fileno())
        # The median, for a disk that is busy for a moment says nothing about the next five minutes.
        return 1 / median(sync(file.fileno(), page) for page in range(SYNCS))


def sync(file: int, page: int) -> float:
    began = time.perf_counter()
    os.pwrite(file, b"pms." * 2048, 8192 * page)
    os.fdatasync(file)
    return time.perf_counter() - began
