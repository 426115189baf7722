"""How long it takes until the laboratory has an order, while results come in; `benches/orders` starts it."""

import argparse
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import machine
import reports
import service
import servers
import tables
import tools
from report import Mismatch, expect

RESULTS_PER_SECOND = 100
ORDERS_PER_SECOND = 10
CLINICIANS = 5
WARM_UP_S = 3


@dataclass
class House:
    """A server that takes orders by HTTP and results by MLLP, and what is asked of its database."""

    http_port: int
    mllp_port: int
    path: str
    patients: list[int]
    sql: Callable[[str], list[str]]
    sent: str
    """Query for the number of orders that count as sent."""


@dataclass
class Laboratory:
    """A laboratory and the control ids that it has seen."""

    port: int
    seen: list[str]


@dataclass(frozen=True)
class Figures:
    server: str
    count: int
    p50_ms: float
    p99_ms: float
    slowest_ms: float


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    environment = service.environment(NODE_PATH=tools.node_modules())
    command, pipes = ["node", servers.BASELINES / "lab.cjs"], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            assert process.stdout
            lab = Laboratory(int(process.stdout.readline()), [])
            listener = threading.Thread(target=lambda: lab.seen.extend(line.strip() for line in process.stdout))
            listener.start()
            yield lab
        finally:
            process.kill()


@contextmanager
def pms(lab: Laboratory) -> Iterator[House]:
    port, mllp = service.free_port(), service.free_port()
    with service.postgres() as url, service.fresh_directory() as directory:
        settings = servers.settings_of_pms(url, directory, port) | {"MLLP_LISTEN_PORT": str(mllp)}
        sql = servers.sql_of(url)
        known = {"http_port": port, "mllp_port": mllp, "sql": sql, "answers_orders": False}
        with service.running(directory, ["serve"], settings, **known) as clinic:
            patients = [clinic.create("/api/patients", patient)["id"] for patient in reports.patients()]
            endpoint = {"name": "Lab", "host": "127.0.0.1", "port": lab.port, "direction": "outbound"}
            clinic.create("/api/lis-endpoints", endpoint)
            sent = "SELECT count(*) FROM lab_orders WHERE status = 'sent' AND sent_at IS NOT NULL"
            yield House(port, mllp, "/api/lab-orders", patients, sql, sent)


@contextmanager
def medplum(lab: Laboratory) -> Iterator[House]:
    with service.postgres() as url:
        schema = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", servers.BASELINES / "schema.sql", url]
        subprocess.run(schema, check=True)
        where = {"PGHOST": servers.socket_directory(url), "PGUSER": "postgres", "PGDATABASE": "postgres"}
        modules = {"NODE_PATH": tools.node_modules(), "NODE_ENV": "production", "LAB_PORT": lab.port}
        command = ["node", servers.BASELINES / "medplum_orders.cjs"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=service.environment(**where, **modules), **pipes) as process:
            try:
                assert process.stdout
                said = sorted((process.stdout.readline().split() for _ in range(2)), key=len)
                mllp, orders = int(said[0][0]), int(said[1][1])
                sent = "SELECT count(*) FROM orders WHERE status = 'sent'"
                yield House(orders, mllp, "/", list(range(reports.PATIENTS)), servers.sql_of(url), sent)
            finally:
                process.kill()


CANDIDATES = (("pms", pms), ("@medplum/hl7 + pg", medplum))


class Clinician(threading.Thread):
    """Places an order when one is due, and writes down how long the answer took."""

    def __init__(self, house: House, number: int, begin: float, seconds: float):
        super().__init__()
        self.house, self.number, self.begin, self.seconds = house, number, begin, seconds
        self.took_ms: list[float] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            self.work()
        except Exception as fault:  # Whoever joins us reports it.
            self.fault = fault

    def work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.house.http_port, timeout=30)
        every = CLINICIANS / ORDERS_PER_SECOND
        for turn in range(int(self.seconds / every)):
            due = self.begin + self.number / ORDERS_PER_SECOND + turn * every
            time.sleep(max(0.0, due - time.monotonic()))
            self.took_ms.append(self.place(connection, turn))

    def place(self, connection: http.client.HTTPConnection, turn: int) -> float:
        patient = self.house.patients[(turn * CLINICIANS + self.number) % len(self.house.patients)]
        order = {"patient_id": patient, "test_codes": ["CBC"], "ordering_provider": "Dr. Smith", "priority": "S"}
        started = time.monotonic()
        connection.request("POST", self.house.path, json.dumps(order), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        took = (time.monotonic() - started) * 1000
        expect((answer.status, body.get("status")), (201, "sent"), "the answer to an order")
        return took


def measure(name: str, start: Callable, seconds: float) -> Figures:
    with laboratory() as lab, start(lab) as house, service.fresh_directory() as directory:
        print(name, file=sys.stderr, flush=True)
        file = directory / "reports.hl7"
        reports.write(file)
        place_all(house, WARM_UP_S)
        with results(house, file, seconds + WARM_UP_S):
            # Until its connections stand.
            time.sleep(1)
            took = place_all(house, seconds)
        total = int(WARM_UP_S * ORDERS_PER_SECOND) + len(took)
        expect(int(house.sql(house.sent)[0]), total, "orders sent, by the database")
        expect(len(lab.seen), total, "messages at the laboratory")
        expect(len(set(lab.seen)), total, "control ids at the laboratory")
        took.sort()
        at = lambda share: took[min(len(took) - 1, int(len(took) * share))]
        return Figures(name, len(took), at(0.5), at(0.99), took[-1])


def place_all(house: House, seconds: float) -> list[float]:
    begin = time.monotonic()
    people = [Clinician(house, number, begin, seconds) for number in range(CLINICIANS)]
    for person in people:
        person.start()
    for person in people:
        person.join()
        if person.fault:
            raise person.fault
    return [took for person in people for took in person.took_ms]


@contextmanager
def results(house: House, file: Path, seconds: float) -> Iterator[None]:
    """Results come in evenly; all of them must have been accepted."""
    command = [service.BINARY, "sim", "send", "--json", "--input", file, "--port", house.mllp_port]
    command += ["--connections", 16, "--seconds", seconds, "--rate", RESULTS_PER_SECOND]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([str(part) for part in command], **pipes) as sender:
        yield
        said, _ = sender.communicate(timeout=seconds + 60)
        answers = json.loads(said)
        expect(answers["outcomes"], {"AA": answers["sent"]}, "answers to results")


def table(figures: list[Figures]) -> tables.Table:
    head = ("server", "orders", "p50 ms", "p99 ms", "slowest ms")
    rows = [
        (each.server, f"{each.count}", f"{each.p50_ms:.1f}", f"{each.p99_ms:.1f}", f"{each.slowest_ms:.1f}")
        for each in figures
    ]
    return tables.Table(head, rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benches/orders", description="Measures how fast a laboratory has an order.")
    parser.add_argument("--markdown", action="store_true", help="print a table for the README")
    parser.add_argument("--seconds", type=float, default=40, help="of orders for each server")
    chosen = parser.parse_args()
    try:
        figures = [measure(name, start, chosen.seconds) for name, start in CANDIDATES]
    except Mismatch as fault:
        print(f"benches/orders: {fault}", file=sys.stderr)
        return 1
    load = f"{ORDERS_PER_SECOND} orders/s from {CLINICIANS} clinicians, {RESULTS_PER_SECOND} messages of results/s"
    print(f"{machine.description(with_baselines=True)}; {load}.\n")
    print(tables.text(table(figures), chosen.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
