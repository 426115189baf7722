"""Senders that we did not write deliver results."""

import json
import os
import socket
import subprocess
from pathlib import Path

from hl7.client import MLLPClient

from acks import accepted
from messages import result
from report import Report, expect
from service import Clinic

SODIUM = "NM|NA^Sodium^L||140|mmol/L|135-145|N"
TEXT = r"TX|NOTE^Note^L||Größe \T\ Höhe|||"


def check(clinic: Clinic, report: Report) -> None:
    with report.check("hl7: mllp_send delivers a file of LF lines"):
        accepted(through_mllp_send(clinic, result("SEND1", "SEND-F1", [SODIUM])), "SEND1")
        expect(stored(clinic, "SEND-F1"), ["140"], "stored")
    with report.check("hl7: MLLPClient delivers two results over one connection"):
        with MLLPClient("127.0.0.1", clinic.mllp_port) as client:
            client.socket.settimeout(15)
            for name in ("CLIENT1", "CLIENT2"):
                accepted(client.send_message(result(name, f"{name}-F", [SODIUM, TEXT])), name)
        for name in ("CLIENT1", "CLIENT2"):
            expect(stored(clinic, f"{name}-F"), ["140", "Größe & Höhe"], f"stored of {name}")
    with report.check("@medplum/hl7: Hl7Client delivers two results over one connection"):
        names = ["MEDPLUM1", "MEDPLUM2"]
        answers = through_node("medplum_sender.cjs", clinic, [result(name, f"{name}-F", [TEXT, SODIUM]) for name in names])
        expect(answers, [["AA", name] for name in names], "MSA-1 and MSA-2")
        for name in names:
            expect(stored(clinic, f"{name}-F"), ["140", "Größe & Höhe"], f"stored of {name}")
    with report.check("node-hl7-client: Client delivers two results over one connection"):
        names = ["NODE1", "NODE2"]
        answers = through_node("node_hl7_sender.cjs", clinic, [result(name, f"{name}-F", [SODIUM]) for name in names])
        expect(answers, [["AA", name] for name in names], "MSA-1 and MSA-2")
        for name in names:
            expect(stored(clinic, f"{name}-F"), ["140"], f"stored of {name}")
    with report.check("a sender that takes one connection for each message and reads its answer by the letter"):
        versions = {"2.3": "ACK^R01", "2.3.1": "ACK^R01^ACK", "2.5.1": "ACK^R01^ACK", "2.8": "ACK^R01^ACK"}
        for version, kind in versions.items():
            name = f"LETTER{version}"
            message = result(name, f"{name}-F", [SODIUM]).replace("|2.5.1", f"|{version}", 1)
            by_the_letter(clinic, message, name, kind, version)


def by_the_letter(clinic: Clinic, message: str, name: str, kind: str, version: str) -> None:
    """As strict stacks do it: the frame exactly, the header swapped and echoed, the control id, one MSA."""
    header = message.split("\r")[0].split("|")
    with socket.create_connection(("127.0.0.1", clinic.mllp_port), timeout=15) as line:
        line.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            part = line.recv(4096)
            expect(bool(part), True, "an answer before the end")
            answer += part
    expect((answer[:4], answer.count(b"\x0b"), answer.count(b"\x1c")), (b"\x0bMSH", 1, 1), "the frame")
    segments = answer[1:-2].decode().rstrip("\r").split("\r")
    msh, msa = segments[0].split("|"), segments[1].split("|")
    expect([segment[:3] for segment in segments], ["MSH", "MSA"], "segments")
    expect(msh[2:6], [header[4], header[5], header[2], header[3]], "MSH-3 to MSH-6 are swapped")
    expect((msh[8], msh[10].split("^")[0], msh[11]), (kind, "P", version), "MSH-9, MSH-11, MSH-12")
    expect(0 < len(msh[9]) <= 20, True, "MSH-10 is no longer than 20 characters")
    expect(msa[1:3], ["AA", name], "MSA")


def stored(clinic: Clinic, filler: str) -> list[str]:
    results = clinic.get(f"/api/lab-results?patient_id={clinic.jane}")
    return sorted(item["value"] for item in results if item["filler_order_number"] == filler)


def through_mllp_send(clinic: Clinic, message: str) -> bytes:
    file = clinic.log.with_name("mllp_send.hl7")
    file.write_text(message.replace("\r", "\n"))
    command = ["mllp_send", "--loose", "--file", str(file), "--port", str(clinic.mllp_port), "127.0.0.1"]
    answer = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
    return answer.removesuffix(b"\n")


def through_node(script: str, clinic: Clinic, messages: list[str]) -> list[list[str]]:
    command = ["node", Path(__file__).with_name(script), str(clinic.mllp_port)]
    done = subprocess.run(
        command, input=json.dumps(messages).encode(), capture_output=True, timeout=30, check=False, env=os.environ
    )
    expect(done.returncode, 0, f"exit code ({done.stderr.decode(errors='replace')[-400:]})")
    return json.loads(done.stdout)
