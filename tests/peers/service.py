"""Starts the product as an operator would, on free loopback ports and fresh data, and ends it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from report import Mismatch, eventually, expect

BINARY = Path(os.environ["PMS_BINARY"]).resolve()
POSTGRES = Path(__file__).parents[1] / "throwaway-postgres.sh"


@dataclass
class Clinic:
    """A running product and what the checks need to know of it."""

    process: subprocess.Popen[bytes]
    log: Path
    http_port: int
    mllp_port: int
    sql: Callable[[str], list[str]]
    """Runs a query with the database's own shell; one string a row, columns parted by `|`."""
    answers_orders: bool
    """Whether a simulated lab takes orders that name no endpoint."""
    jane: int = 0
    """Id of Jane Doe, MRN 12345, born 1990-03-15."""
    order_for: tuple[int, int] = (0, 0)
    """A patient and an encounter of theirs."""

    def request(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", method=method)
        if body is not None:
            request.add_header("content-type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode(errors="replace")

    def get(self, path: str) -> Any:
        status, body = self.request("GET", path)
        expect(status, 200, f"GET {path} ({body if status != 200 else ''})")
        return body

    def create(self, path: str, body: object) -> Any:
        status, answer = self.request("POST", path, body)
        expect(status, 201, f"POST {path} ({answer if status != 201 else ''})")
        return answer

    def is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise Mismatch(f"it ended with exit code {self.process.returncode}:\n{self.last_words()}")
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, ValueError):
            return False

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        expect(self.process.wait(timeout=30), 0, "exit code")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**settings: object) -> dict[str, str]:
    """Nothing of the developer's own settings, and leave to send orders to labs on this machine."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | {"OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8"} | {key: str(value) for key, value in settings.items()}


def rows_of(*shell: str) -> Callable[[str], list[str]]:
    def run(query: str) -> list[str]:
        done = subprocess.run([*shell, query], capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise Mismatch(f"{shell[0]}: {done.stderr.strip()}")
        return done.stdout.splitlines()

    return run


@contextmanager
def running(directory: Path, arguments: list[str], settings: dict[str, str], **clinic: Any) -> Iterator[Clinic]:
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BINARY, *arguments], env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory
        )
    started = Clinic(process, log, **clinic)
    try:
        eventually(started.is_ready, bool, "ready")
        yield started
    finally:
        process.kill()
        process.wait()


@contextmanager
def fresh_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="pms-peers."))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def demo() -> Iterator[Clinic]:
    http, mllp = free_port(), free_port()
    with fresh_directory() as directory:
        data = directory / "data"
        arguments = ["demo", "--no-auth", "--http", f"127.0.0.1:{http}", "--mllp", f"127.0.0.1:{mllp}"]
        arguments += ["--data-dir", str(data)]
        sql = rows_of("sqlite3", str(data / "pms.db"))
        known = {"sql": sql, "answers_orders": True, "jane": 12345, "order_for": (1, 1)}
        with running(directory, arguments, environment(), http_port=http, mllp_port=mllp, **known) as clinic:
            yield clinic


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database whose server ends with the block, or with us."""
    with subprocess.Popen(["sh", POSTGRES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        socket_dir = server.stdout.readline().strip() if server.stdout else ""
        if not socket_dir:
            raise Mismatch("there is no PostgreSQL to test on; see above")
        yield f"postgres:///postgres?host={socket_dir}&port=5432&user=postgres"


@contextmanager
def serve() -> Iterator[Clinic]:
    http, mllp = free_port(), free_port()
    with postgres() as url, fresh_directory() as directory:
        settings = environment(
            DATABASE_URL=url,
            DATA_DIR=directory / "data",
            PMS_AUTH="dev",
            HTTP_LISTEN_HOST="127.0.0.1",
            HTTP_LISTEN_PORT=http,
            MLLP_LISTEN_HOST="127.0.0.1",
            MLLP_LISTEN_PORT=mllp,
        )
        subprocess.run([BINARY, "migrate", "up"], env=settings, cwd=directory, check=True, stdout=subprocess.DEVNULL)
        known = {"sql": rows_of("psql", "-AtX", url, "-c"), "answers_orders": False}
        with running(directory, ["serve"], settings, http_port=http, mllp_port=mllp, **known) as clinic:
            register_jane(clinic)
            yield clinic


def register_jane(clinic: Clinic) -> None:
    """A service starts without patients; the demo has her from the start."""
    jane = {"mrn": "12345", "last_name": "Doe", "first_name": "Jane", "date_of_birth": "1990-03-15", "gender": "female"}
    clinic.jane = clinic.create("/api/patients", jane)["id"]
    visit = {"patient_id": clinic.jane, "class": "O", "status": "in-progress"}
    clinic.order_for = (clinic.jane, clinic.create("/api/encounters", visit)["id"])
