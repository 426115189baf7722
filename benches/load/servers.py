"""The servers that are measured, each on a PostgreSQL of its own that nothing was written to before."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import reports
import service
import tools
from report import Mismatch

Sql = Callable[[str], list[str]]

BASELINES = Path(__file__).parents[1] / "baselines"


@dataclass
class Server:
    """A server that takes messages, and what is asked of its database."""

    pid: int
    mllp_port: int
    database_pid: int
    sql: Sql
    stored: str
    """Query for the number of messages and the number of results that can be read in a chart."""
    make_patients: Callable[[], None] = lambda: None
    """What must be there before the first message, so that its results belong to somebody."""


@dataclass
class Candidate:
    """A server that could be started."""

    key: str
    name: str
    start: Callable[[], AbstractContextManager[Server]]


@contextmanager
def pms() -> Iterator[Server]:
    http, mllp = service.free_port(), service.free_port()
    with service.postgres() as url, service.fresh_directory() as directory:
        settings = settings_of_pms(url, directory, http) | {"MLLP_LISTEN_PORT": str(mllp)}
        sql = sql_of(url)
        known = {"http_port": http, "mllp_port": mllp, "sql": sql, "answers_orders": False}
        with service.running(directory, ["serve"], settings, **known) as clinic:

            def register() -> None:
                for patient in reports.patients():
                    clinic.create("/api/patients", patient)

            # The join holds to the person: linked to somebody is not enough, it must be the one the message names.
            stored = """
                SELECT (SELECT count(*) FROM hl7_messages WHERE direction = 'inbound' AND ack_status = 'AA'),
                       (SELECT count(*) FROM lab_results r JOIN patients p ON p.id = r.patient_id
                        JOIN hl7_messages m ON m.id = r.hl7_message_id AND m.patient_id = p.id
                        WHERE p.mrn LIKE 'B_____' AND r.is_current)"""
            yield Server(clinic.process.pid, mllp, database_pid(url), sql, stored, register)


def settings_of_pms(database: str, directory: Path, http_port: int) -> dict[str, str]:
    """Only what has no default that would do: no one signs in, and every door is on loopback."""
    return service.environment(
        DATABASE_URL=database,
        DATA_DIR=directory / "data",
        PMS_AUTH="dev",
        HTTP_LISTEN_HOST="127.0.0.1",
        HTTP_LISTEN_PORT=http_port,
        MLLP_LISTEN_HOST="127.0.0.1",
    )


@contextmanager
def baseline(*command: object, **variables: object) -> Iterator[Server]:
    """A program of `baselines/`, with its schema in place before it starts."""
    with service.postgres() as url:
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", BASELINES / "schema.sql", url], check=True)
        where = {"PGHOST": socket_directory(url), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        environment = service.environment(**where, **variables)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen([str(part) for part in command], env=environment, **pipes) as process:
            try:
                port = process.stdout.readline().strip() if process.stdout else ""
                if not port:
                    raise Mismatch(f"{command[-1]} did not start; see above")
                stored = "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM results WHERE mrn <> '')"
                yield Server(process.pid, int(port), database_pid(url), sql_of(url), stored)
            finally:
                process.kill()


def sql_of(url: str) -> Sql:
    return service.rows_of("psql", "-AtX", url, "-c")


def socket_directory(url: str) -> str:
    return url.partition("host=")[2].partition("&")[0]


def database_pid(url: str) -> int:
    return int(Path(socket_directory(url), "data/postmaster.pid").read_text().split()[0])


def medplum() -> AbstractContextManager[Server]:
    return baseline("node", BASELINES / "medplum.cjs", NODE_PATH=tools.node_modules(), NODE_ENV="production")


def python_hl7() -> AbstractContextManager[Server]:
    return baseline(tools.python_with_hl7(), BASELINES / "python_hl7.py")


CANDIDATES = (
    Candidate("pms", "pms", pms),
    Candidate("medplum", "@medplum/hl7 + pg", medplum),
    Candidate("python", "python-hl7 + asyncpg", python_hl7),
)
