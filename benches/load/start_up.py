"""How long pms takes from its start to the first `/readyz` that says yes, its schema made on the way."""

import http.client
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import service
import servers
from intake import say
from report import DEADLINE_S, Mismatch

RUNS = 5


@dataclass(frozen=True)
class StartUp:
    database: str
    median_ms: float
    slowest_ms: float


def measure() -> list[StartUp]:
    return [times("SQLite", sqlite_databases), times("PostgreSQL", postgres_databases)]


def times(database: str, fresh_databases: Callable[[], AbstractContextManager[list[str]]]) -> StartUp:
    say(f"pms: {RUNS} starts on {database}")
    with fresh_databases() as urls:
        taken = sorted(start(url) for url in urls)
    return StartUp(database, median(taken), taken[-1])


@contextmanager
def sqlite_databases() -> Iterator[list[str]]:
    with service.fresh_directory() as directory:
        yield [f"sqlite://{directory}/{run}.db" for run in range(RUNS)]


@contextmanager
def postgres_databases() -> Iterator[list[str]]:
    with service.postgres() as url:
        sql = servers.sql_of(url)
        for run in range(RUNS):
            sql(f"CREATE DATABASE run_{run}")
        yield [url.replace("///postgres?", f"///run_{run}?") for run in range(RUNS)]


def start(database: str) -> float:
    """Milliseconds of one start."""
    port = service.free_port()
    with service.fresh_directory() as directory:
        settings = servers.settings_of_pms(database, directory, port) | {"MLLP_LISTEN_PORT": str(service.free_port())}
        with (directory / "log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                [service.BINARY, "serve"], env=settings, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until_ready(process, port, directory / "log")
            return (time.perf_counter() - began) * 1000
        finally:
            process.kill()
            process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + DEADLINE_S
    while not is_ready(port):
        if process.poll() is not None or time.monotonic() > end:
            raise Mismatch(f"pms did not become ready:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.002)


def is_ready(port: int) -> bool:
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asking.request("GET", "/readyz")
        return asking.getresponse().status == 200
    except OSError:
        return False
    finally:
        asking.close()
