"""Senders that we did not write deliver results."""

import json
import os
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
        answers = through_medplum(clinic, [result(name, f"{name}-F", [TEXT, SODIUM]) for name in names])
        expect(answers, [["AA", name] for name in names], "MSA-1 and MSA-2")
        for name in names:
            expect(stored(clinic, f"{name}-F"), ["140", "Größe & Höhe"], f"stored of {name}")


def stored(clinic: Clinic, filler: str) -> list[str]:
    results = clinic.get(f"/api/lab-results?patient_id={clinic.jane}")
    return sorted(item["value"] for item in results if item["filler_order_number"] == filler)


def through_mllp_send(clinic: Clinic, message: str) -> bytes:
    file = clinic.log.with_name("mllp_send.hl7")
    file.write_text(message.replace("\r", "\n"))
    command = ["mllp_send", "--loose", "--file", str(file), "--port", str(clinic.mllp_port), "127.0.0.1"]
    answer = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
    return answer.removesuffix(b"\n")


def through_medplum(clinic: Clinic, messages: list[str]) -> list[list[str]]:
    command = ["node", Path(__file__).with_name("medplum_sender.cjs"), str(clinic.mllp_port)]
    done = subprocess.run(
        command, input=json.dumps(messages).encode(), capture_output=True, timeout=30, check=False, env=os.environ
    )
    expect(done.returncode, 0, f"exit code ({done.stderr.decode(errors='replace')[-400:]})")
    return json.loads(done.stdout)
