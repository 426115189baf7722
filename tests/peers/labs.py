"""Labs that we did not write receive orders, and one of them sends results back."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

from hl7.client import MLLPClient
from hl7apy.core import Message, Segment
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from acks import accepted
from messages import result
from report import DEADLINE_S, Report, eventually, expect
from service import Clinic

Segments = list[tuple[str, dict[str, str]]]
"""Each segment with its fields and components, as `{"4": …, "4.1": …}`."""
LOINC = {"CBC": "58410-2", "BMP": "24321-2"}


def check(clinic: Clinic, report: Report) -> None:
    with report.check("hl7apy: MLLPServer takes an order, reads it and has it marked as sent"):
        with hl7apy_lab() as (port, received):
            order_at(clinic, received, lis_endpoint(clinic, "hl7apy", port, "outbound"))
    order = None
    with report.check("@medplum/hl7: Hl7Server takes an order, reads it and has it marked as sent"):
        with medplum_lab() as (port, received):
            order = order_at(clinic, received, lis_endpoint(clinic, "medplum", port, "both"))
    with report.check("hl7: results sent back in the name of that lab complete the order"):
        expect(order is not None, True, "an order reached that lab")
        complete(clinic, order)


def lis_endpoint(clinic: Clinic, name: str, port: int, direction: str) -> dict:
    endpoint = {"name": name, "host": "127.0.0.1", "port": port, "direction": direction}
    endpoint |= {"receiving_application": f"{name}_app", "receiving_facility": f"{name}_lab"}
    return clinic.create("/api/lis-endpoints", endpoint)


def order_at(clinic: Clinic, received: "Queue[Segments]", endpoint: dict) -> int:
    """Places an order at a lab, checks what the lab read, and returns the order's id."""
    order = {"patient_id": clinic.jane, "test_codes": ["CBC", "BMP"], "ordering_provider": "Dr. Smith", "priority": "S"}
    answer = clinic.create("/api/lab-orders", order | {"lis_endpoint_id": endpoint["id"]})
    message = message_of_order(answer["id"], received)
    check_header(segment_of(message, "MSH"), endpoint)
    check_patient(segment_of(message, "PID"))
    check_tests(message, answer["id"], order["test_codes"])
    path = f"/api/lab-orders/{answer['id']}"
    sent = eventually(lambda: clinic.get(path), lambda seen: seen["status"] != "pending", "status")
    expect(sent["status"], "sent", "status")
    expect(sent["sent_at"] is not None, True, "sent_at is set")
    return answer["id"]


def message_of_order(order_id: int, received: "Queue[Segments]") -> Segments:
    """The lab may get orders that waited for it first."""
    while True:
        message = received.get(timeout=DEADLINE_S)
        if segment_of(message, "ORC").get("2.1", "").startswith(f"{order_id}-"):
            return message


def segment_of(message: Segments, name: str) -> dict[str, str]:
    return next(positions for found, positions in message if found == name)


def expect_positions(name: str, seen: dict[str, str], expected: dict[str, str]) -> None:
    """`""` expects an empty or absent position."""
    for position, value in expected.items():
        expect(seen.get(position, ""), value, f"{name}-{position}")


def check_header(msh: dict[str, str], endpoint: dict) -> None:
    kind = {"9.1": "ORM", "9.2": "O01", "9.3": "ORM_O01", "11": "P", "12.1": "2.5.1"}
    lab = {"5": endpoint["receiving_application"], "6": endpoint["receiving_facility"]}
    expect_positions("MSH", msh, kind | lab | {"3": "PMS_LAB", "4": "MPS_PMS"})
    expect(1 <= len(msh.get("10", "")) <= 20, True, f"length of MSH-10 {msh.get('10')!r}")


def check_patient(pid: dict[str, str]) -> None:
    identity = {"3.1": "12345", "3.4": "MPS_PMS", "3.5": "MR"}
    expect_positions("PID", pid, identity | {"5.1": "Doe", "5.2": "Jane", "7": "19900315", "8": "F"})


def check_tests(message: Segments, order_id: int, codes: list[str]) -> None:
    """One pair of ORC and OBR per test, in the order of the request."""
    pairs = [(name, positions) for name, positions in message if name in ("ORC", "OBR")]
    expect([name for name, _ in pairs], ["ORC", "OBR"] * len(codes), "segments")
    for index, code in enumerate(codes, 1):
        orc, obr = pairs[2 * index - 2][1], pairs[2 * index - 1][1]
        placer = f"{order_id}-{index}"
        # Parent (8), verifier (11) and call-back number (14) stand beside the positions that are meant.
        meant = {"1": "NW", "2.1": placer, "4.1": str(order_id), "8": "", "11": "", "14": ""}
        expect_positions("ORC", orc, meant)
        expect(orc.get("9", "")[:4].isdigit(), True, f"ORC-9 is a time, {orc.get('9')!r}")
        service = {"4.1": code, "4.3": "L", "4.4": LOINC[code], "4.6": "LN"}
        # Nothing was collected yet, so OBR-7 is empty; the priority is the sixth component of OBR-27.
        expect_positions("OBR", obr, {"1": str(index), "2.1": placer, "7": "", "24": "", "27.6": "S"} | service)
        for name, provider in (("ORC-12", orc.get("12.2")), ("OBR-16", obr.get("16.2"))):
            expect("Smith" in (provider or ""), True, f"family name in {name}.2, {provider!r}")


def complete(clinic: Clinic, order: int) -> None:
    """The lab names each test by the number that we gave it."""
    for index, (status, value) in enumerate((("partial", "7.5"), ("resulted", "7.6")), 1):
        text = f"NM|WBC{index}^White cells^L||{value}|10*3/uL|4.5-11.0|N"
        message = result(f"BACK{index}", f"BACK-F{index}", [text], f"{order}-{index}", "medplum_app|medplum_lab")
        with MLLPClient("127.0.0.1", clinic.mllp_port) as client:
            client.socket.settimeout(15)
            accepted(client.send_message(message), f"BACK{index}")
        seen = clinic.get(f"/api/lab-orders/{order}")
        expect((seen["status"], len(seen["results"])), (status, index), "status and results")
        expect(value in [item["value"] for item in seen["results"]], True, f"{value} in the results")


class OrderHandler(AbstractHandler):
    """Reads an order into its groups and accepts it."""

    def __init__(self, message: str, received: "Queue[Segments]") -> None:
        super().__init__(message)
        self.received = received

    def reply(self) -> str:
        order = parse_message(self.incoming_message, find_groups=True)
        expect(len(order.orm_o01_order), 2, "ORDER groups")
        self.received.put([(segment.name, positions(segment)) for segment in segments_in(order)])
        ack = Message("ACK", version="2.5.1")
        ack.msh.msh_3, ack.msh.msh_4 = order.msh.msh_5.value, order.msh.msh_6.value
        ack.msh.msh_5, ack.msh.msh_6 = order.msh.msh_3.value, order.msh.msh_4.value
        ack.msh.msh_9, ack.msh.msh_10, ack.msh.msh_11 = "ACK^O01^ACK", f"A{order.msh.msh_10.value}"[:20], "P"
        ack.msa.msa_1, ack.msa.msa_2 = "AA", order.msh.msh_10.value
        return ack.to_mllp()


def segments_in(element: object) -> Iterator[Segment]:
    for child in element.children:
        if isinstance(child, Segment):
            yield child
        else:
            yield from segments_in(child)


def positions(segment: Segment) -> dict[str, str]:
    """First repetitions only; hl7apy names a child after its place: `ORC_12`, `XCN_2`."""
    found: dict[str, str] = {}
    for field in segment.children:
        number = field.name.rpartition("_")[2]
        if number in found or (segment.name == "MSH" and number in ("1", "2")):
            continue
        found[number] = field.to_er7()
        for component in field.children:
            place = component.name.rpartition("_")[2]
            found[f"{number}.{place if place.isdigit() else 1}"] = component.to_er7()
    return found


@contextmanager
def hl7apy_lab() -> Iterator[tuple[int, "Queue[Segments]"]]:
    """It closes the connection after each message."""
    received: Queue[Segments] = Queue()
    with MLLPServer("127.0.0.1", 0, {"ORM^O01^ORM_O01": (OrderHandler, received)}) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()


@contextmanager
def medplum_lab() -> Iterator[tuple[int, "Queue[Segments]"]]:
    """It keeps the connection open."""
    command = ["node", Path(__file__).with_name("medplum_lab.cjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ) as lab:
        lines: Queue = Queue()
        threading.Thread(target=lambda: [lines.put(json.loads(line)) for line in lab.stdout], daemon=True).start()
        try:
            yield lines.get(timeout=DEADLINE_S), lines
        finally:
            # It ends with its input; leaving the block first closes its output, which the thread still reads.
            lab.stdin.close()
            lab.wait(timeout=DEADLINE_S)
