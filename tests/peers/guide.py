"""The check list of the setup guide, as its reader would type it."""

import json
import os
import signal
import subprocess
from pathlib import Path

from acks import accepted
from report import Mismatch, Report, expect
from service import Clinic

MESSAGE = Path(__file__).with_name("guide_oru.hl7")
PIPED = r"{ printf '\x0b'; cat %s; printf '\x1c\x0d'; } | "
VALUES = {"WBC": "7.5", "RBC": "4.8", "HGB": "14.2", "PLT": "250", "K": "6.8"}


def check(clinic: Clinic, report: Report) -> None:
    check_result(clinic, report)
    check_reading(clinic, report)
    check_order(clinic, report)


def check_result(clinic: Clinic, report: Report) -> None:
    with report.check("nc: the guide's result, with LF line ends, is answered AA for MSG001"):
        accepted(answer_through_nc(clinic.mllp_port), "MSG001")
    with report.check("SQL: the message log says inbound, ORU, AA"):
        log = "SELECT direction, message_type, ack_status, processed_at FROM hl7_messages ORDER BY id DESC LIMIT 5"
        rows = [row.split("|") for row in clinic.sql(log)]
        expect([row[:3] for row in rows if row[3]][:1], [["inbound", "ORU", "AA"]], "newest row")
    with report.check("nc -N: a resend from a sender that half-closes is answered AA again"):
        accepted(bash(PIPED % MESSAGE + f"nc -N localhost {clinic.mllp_port}"), "MSG001")


def check_reading(clinic: Clinic, report: Report) -> None:
    with report.check("curl: the five results are there, once each"):
        results = json.loads(bash(curl(clinic, f"/api/lab-results?patient_id={clinic.jane}")))
        seen = [(item["test_code"], item["value"]) for item in results if item["filler_order_number"] == "FIL001"]
        expect(sorted(seen), sorted(VALUES.items()), "results")
    with report.check("curl: the potassium is critical"):
        critical = json.loads(bash(curl(clinic, "/api/lab-results/critical?acknowledged=false")))
        fields = ("patient_id", "test_name", "value", "units", "abnormal_flag")
        seen = [tuple(item[field] for field in fields) for item in critical if item["patient_id"] == clinic.jane]
        expect(seen, [(clinic.jane, "Potassium", "6.8", "mEq/L", "HH")], "criticals of Jane Doe")
    with report.check("curl | jq '.id': an MRN finds its patient"):
        found = bash(curl(clinic, "/api/patients?mrn=12345") + " | jq '.id'")
        expect(found.strip(), str(clinic.jane).encode(), "id")
    with report.check("SQL: results with a critical flag are counted"):
        count = clinic.sql("SELECT COUNT(*) FROM lab_results WHERE abnormal_flag IN ('HH','LL')")
        expect(int(count[0]) >= 1, True, f"count {count}")


def check_order(clinic: Clinic, report: Report) -> None:
    sent = {"sent", "acknowledged", "partial", "resulted"} if clinic.answers_orders else {"pending"}
    with report.check(f"curl: an order is created and its status is {' or '.join(sorted(sent))}"):
        patient, encounter = clinic.order_for
        order = {"patient_id": patient, "encounter_id": encounter, "test_codes": ["CBC", "BMP"]}
        order |= {"ordering_provider": "Dr. Smith", "priority": "S"}
        post = f" -X POST -H 'Content-Type: application/json' -d '{json.dumps(order)}' -w '\\n%{{http_code}}'"
        body, _, status = bash(curl(clinic, "/api/lab-orders") + post).rpartition(b"\n")
        expect(status, b"201", f"status of {body!r}")
        answer = json.loads(body)
        expect(answer["test_codes"], order["test_codes"], "test_codes")
        expect(answer["status"] in sent, True, f"status {answer['status']}")


def check_orders_in_sql(clinic: Clinic, report: Report) -> None:
    """Runs last: by then at least one lab has taken an order and sent no results."""
    with report.check("SQL: orders without results are listed"):
        rows = clinic.sql("SELECT id, test_codes, status, created_at FROM lab_orders WHERE status != 'resulted'")
        codes = [json.loads(row.split("|")[1]) for row in rows]
        expect(["CBC", "BMP"] in codes, True, f"an open order of CBC and BMP in {rows}")


def curl(clinic: Clinic, path: str) -> str:
    return f"curl -s 'http://localhost:{clinic.http_port}{path}'"


def bash(command: str) -> bytes:
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=20, check=False)
    if done.returncode:
        raise Mismatch(f"exit code {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def answer_through_nc(port: int) -> bytes:
    """Plain nc keeps the connection open after its input, so it is ended when the answer is complete."""
    command = ["bash", "-c", PIPED % MESSAGE + f"timeout 15 nc localhost {port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as nc:
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            more = os.read(nc.stdout.fileno(), 4096) if nc.stdout else b""
            if not more:
                break
            answer += more
        os.killpg(nc.pid, signal.SIGTERM)
    return answer
