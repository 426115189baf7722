"""Orders in four forms, as the service really sent them, are read by hl7apy and @medplum/core, position by position."""

import json
import os
import socketserver
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from lab_servers import Segments, hl7apy_positions, segments_in
from labs import expect_positions, lis_endpoint
from report import DEADLINE_S, Report, expect
from service import Clinic

FORMS = [("ORM_O01", "2.3"), ("ORM_O01", "2.3.1"), ("ORM_O01", "2.5.1"), ("OML_O21", "2.5.1")]
PATIENT = ["PATIENT", "PATIENT_VISIT"]
GROUPS = {"ORM_O01": ["ORDER", "ORDER_DETAIL"], "OML_O21": ["ORDER", "TIMING", "OBSERVATION_REQUEST"]}
SERVICES = [["CBC", "Complete Blood Count", "L", "58410-2"], ["ODD\\S\\", "", "L", ""]]
CHOICE = ("RQD", "RQ1", "RXO", "ODS", "ODT")
"""ORM has one of these or OBR; hl7apy wants them all."""


@dataclass
class Sent:
    """What a lab was sent."""

    form: str
    version: str
    order: int
    tests: int
    text: str

    @property
    def is_oml(self) -> bool:
        return self.form == "OML_O21"


def check(clinic: Clinic, report: Report) -> None:
    patient = {"mrn": "4711|7", "last_name": "O'Neil & ^Sons~", "first_name": "Zoë\\"}
    patient = clinic.create("/api/patients", patient | {"date_of_birth": "1971-05-04", "gender": "male"})["id"]
    visit = {"patient_id": patient, "class": "I", "status": "in-progress", "location": "W1", "visit_number": "V7"}
    visit = clinic.create("/api/encounters", visit | {"attending_provider": "17^Grey^Ada"})["id"]
    order = {"patient_id": patient, "encounter_id": visit, "priority": "A", "ordering_provider": "Dr. Jane Smith"}
    order |= {"diagnosis_codes": ["D64.9"], "note": "fasting\ncall | me"}
    sent: list[Sent] = []
    for form, version in FORMS:
        with report.check(f"{form} {version} reaches a lab that keeps the bytes"):
            with keeping_lab() as (port, received):
                settings = {"order_message": form, "hl7_version": version, "time_zone": "Asia/Kolkata"}
                endpoint = lis_endpoint(clinic, f"keeps {form} {version}", port, **settings)
                for tests in (["CBC"], ["CBC", "ODD^"]):
                    asked = order | {"lis_endpoint_id": endpoint["id"], "test_codes": tests}
                    placed = clinic.create("/api/lab-orders", asked)
                    expect(placed["status"], "sent", "status")
                    text = received.get(timeout=DEADLINE_S).decode()
                    sent.append(Sent(form, version, placed["id"], len(tests), text))
    with report.check("@medplum/core: Hl7Message.parse reads every position"):
        expect(len(sent), 2 * len(FORMS), "messages")
        for message, segments in zip(sent, medplum_reads([message.text for message in sent])):
            check_segments(message, [(name, positions) for name, positions in segments])
    for message in sent:
        name = f"{message.form} {message.version} with {message.tests} tests"
        with report.check(f"hl7apy: parse_message reads every position of {name}"):
            parsed = parse_message(message.text, find_groups=True)
            check_segments(message, hl7apy_reads(parsed))
            # It takes the second order of OML^O21 for a prior result, in which an OBR is all that must be.
            if message.form == "ORM_O01" or message.tests == 1:
                expect(groups_of(parsed, message.form), PATIENT + GROUPS[message.form] * message.tests, "groups")
                expect(faults_of(parsed), [], "faults")


@contextmanager
def keeping_lab() -> Iterator[tuple[int, "Queue[bytes]"]]:
    """Accepts every order and keeps its bytes."""
    received: Queue[bytes] = Queue()

    class Desk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            frame = b""
            while not frame.endswith(b"\x1c\r"):
                byte = self.rfile.read(1)
                if not byte:
                    return
                frame += byte
            received.put(frame[1:-2])
            control_id = frame.split(b"|")[9].decode()
            ack = f"MSH|^~\\&|L|L|P|P|2024||ACK|A|P|2.5.1\rMSA|AA|{control_id}\r"
            self.wfile.write(b"\x0b" + ack.encode() + b"\x1c\r")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Desk) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()


def medplum_reads(texts: list[str]) -> list[Segments]:
    command = ["node", Path(__file__).with_name("medplum_reader.cjs")]
    done = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, timeout=30, check=True, env=os.environ
    )
    return json.loads(done.stdout)


def hl7apy_reads(parsed: object) -> Segments:
    segments = [(segment.name, hl7apy_positions(segment)) for segment in segments_in(parsed)]
    for name, positions in segments:
        if name == "NTE":
            # It escapes the commands of formatted text once more when it writes them.
            positions["3"] = positions["3"].replace("\\E\\.br\\E\\", "\\.br\\")
    return segments


def groups_of(element: object, form: str) -> list[str]:
    """Names of the groups, outer before inner; the choice of one segment among many is no group of its own."""
    names: list[str] = []
    for child in element.children:
        if child.classname != "Group":
            continue
        name = child.name.removeprefix(f"{form}_")
        if "CHOICE" not in name and "SUPPGRP" not in name:
            names.append(name)
        names += groups_of(child, form)
    return names


def faults_of(parsed: object) -> list[str]:
    """What strict validation finds, but for the choice and for tables, which it reports as warnings."""
    with tempfile.NamedTemporaryFile("r") as found:
        try:
            Validator.validate(parsed, report_file=found.name)
        except ValidationError:
            pass
        lines = [line.strip() for line in found if line.startswith("Error")]
    return [line for line in lines if not line.endswith(tuple(f".{name}" for name in CHOICE))]


def check_segments(sent: Sent, segments: Segments) -> None:
    group = ["ORC", "TQ1", "OBR", "NTE", "DG1"] if sent.is_oml else ["ORC", "OBR", "NTE", "DG1"]
    expect([name for name, _ in segments], ["MSH", "PID", "PV1", *group * sent.tests], "segments")
    check_surroundings(sent, segments)
    space = "PMS_LAB" if sent.is_oml else ""
    for index, service in enumerate(SERVICES[: sent.tests], 1):
        start = 3 + (index - 1) * len(group)
        of_test = dict(segments[start : start + len(group)])
        numbers = {"2.1": f"{sent.order}-{index}", "2.2": space, "3": ""}
        provider = {"1": "", "2": "Smith", "3": "Jane", "6": "Dr."}
        orc = numbers | {"1": "NW", "4.1": str(sent.order), "4.2": space, "5": "", "8": "", "10": "", "11": "", "13": ""}
        expect_positions("ORC", of_test["ORC"], orc | {f"12.{place}": text for place, text in provider.items()})
        obr = numbers | {"1": str(index), "7": "", "15": "", "24": "", "25": ""}
        obr |= {f"4.{place}": text for place, text in enumerate(service, 1)}
        expect_positions("OBR", of_test["OBR"], obr | {f"16.{place}": text for place, text in provider.items()})
        check_timing(sent, of_test)
        expect_positions("NTE", of_test["NTE"], {"1": "1", "2": "P", "3": "fasting\\.br\\call \\F\\ me"})
        diagnosis = {"1": "1", "2": "I10", "3.1": "D64.9", "3.3": "I10", "4": "", "5": "", "6": "W"}
        expect_positions("DG1", of_test["DG1"], diagnosis)


def check_surroundings(sent: Sent, segments: Segments) -> None:
    code, _, event = sent.form.partition("_")
    kind = {"9.1": code, "9.2": event, "9.3": "" if sent.version == "2.3" else sent.form, "12": sent.version}
    msh = {"3": "PMS_LAB", "4": "MPS_PMS", "11": "P", "13": "", "15": "", "18": "UNICODE UTF-8"}
    expect_positions("MSH", segments[0][1], kind | msh)
    pid = {"1": "1", "2": "", "3.1": "4711\\F\\7", "3.4": "MPS_PMS", "3.5": "MR", "7": "19710504", "8": "M"}
    expect_positions("PID", segments[1][1], pid | {"5.1": "O'Neil \\T\\ \\S\\Sons\\R\\", "5.2": "Zoë\\E\\", "5.7": "L"})
    pv1 = {"1": "1", "2": "I", "3.1": "W1", "3.4": "MPS_PMS", "7.1": "17", "7.2": "Grey", "7.3": "Ada"}
    expect_positions("PV1", segments[2][1], pv1 | {"18": "", "19.1": "V7", "19.5": "VN", "20": ""})


def check_timing(sent: Sent, of_test: dict[str, dict[str, str]]) -> None:
    orc, obr = of_test["ORC"], of_test["OBR"]
    entered = orc.get("9", "")
    expect((len(entered), entered[14:]), (19, "+0530"), f"length and zone of ORC-9 {entered!r}")
    if sent.is_oml:
        expect_positions("TQ1", of_test["TQ1"], {"1": "1", "7": entered, "9.1": "A", "9.3": "HL70485"})
        expect_positions("ORC", orc, {"7": ""})
        expect_positions("OBR", obr, {"5": "", "6": "", "27": ""})
        return
    old = sent.version < "2.5"
    expect_positions("ORC", orc, {"7.6": "A"})
    expect_positions("OBR", obr, {"5": "A" if old else "", "6": entered if old else "", "27.6": "A"})
