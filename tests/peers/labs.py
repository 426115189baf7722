"""Labs that we did not write receive orders in both forms, and one of them sends results back."""

from queue import Queue

from hl7.client import MLLPClient

from acks import accepted
from lab_servers import LABS, Segments, medplum_lab
from messages import result
from report import DEADLINE_S, Report, eventually, expect
from service import Clinic

LOINC = {"CBC": "58410-2", "BMP": "24321-2"}


def check(clinic: Clinic, report: Report) -> None:
    for name, lab in LABS.items():
        for form in ("ORM_O01", "OML_O21"):
            with report.check(f"{name} takes {form} on one connection, reads it and has it marked as sent"):
                with lab() as (port, received):
                    own = "".join(letter for letter in f"{name.partition(':')[0]}_{form}" if letter.isalnum() or letter == "_")
                    endpoint = lis_endpoint(clinic, own, port, order_message=form)
                    for _ in range(2):
                        order_at(clinic, received, endpoint)
    order = None
    with report.check("@medplum/hl7: an order goes to a lab that will report"):
        with medplum_lab() as (port, received):
            order = order_at(clinic, received, lis_endpoint(clinic, "medplum", port, direction="both"))
    with report.check("hl7: results sent back in the name of that lab complete the order"):
        expect(order is not None, True, "an order reached that lab")
        complete(clinic, order)


def lis_endpoint(clinic: Clinic, name: str, port: int, **settings: str) -> dict:
    endpoint = {"name": name, "host": "127.0.0.1", "port": port, "direction": "outbound"}
    endpoint |= {"receiving_application": f"{name}_app", "receiving_facility": f"{name}_lab"}
    return clinic.create("/api/lis-endpoints", endpoint | settings)


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
    tried = [step["kind"] for step in sent["timeline"]].count("delivery_tried")
    expect(tried, 0, "tries that failed")
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
    form = endpoint["order_message"]
    code, _, event = form.partition("_")
    kind = {"9.1": code, "9.2": event, "9.3": form, "11": "P", "12.1": "2.5.1"}
    lab = {"5": endpoint["receiving_application"], "6": endpoint["receiving_facility"]}
    expect_positions("MSH", msh, kind | lab | {"3": "PMS_LAB", "4": "MPS_PMS"})
    expect(1 <= len(msh.get("10", "")) <= 20, True, f"length of MSH-10 {msh.get('10')!r}")


def check_patient(pid: dict[str, str]) -> None:
    identity = {"3.1": "12345", "3.4": "MPS_PMS", "3.5": "MR"}
    expect_positions("PID", pid, identity | {"5.1": "Doe", "5.2": "Jane", "7": "19900315", "8": "F"})


def check_tests(message: Segments, order_id: int, codes: list[str]) -> None:
    """One group per test, in the order of the request; the priority in TQ1 or in OBR."""
    is_oml = segment_of(message, "MSH")["9.1"] == "OML"
    group = ["ORC", "TQ1", "OBR"] if is_oml else ["ORC", "OBR"]
    tests = [(name, positions) for name, positions in message if name in ("ORC", "TQ1", "OBR")]
    expect([name for name, _ in tests], group * len(codes), "segments")
    for index, code in enumerate(codes, 1):
        of_test = dict(tests[(index - 1) * len(group) : index * len(group)])
        orc, obr = of_test["ORC"], of_test["OBR"]
        placer = f"{order_id}-{index}"
        # Parent (8), verifier (11) and call-back number (14) stand beside the positions that are meant.
        meant = {"1": "NW", "2.1": placer, "4.1": str(order_id), "8": "", "11": "", "14": ""}
        expect_positions("ORC", orc, meant)
        expect(orc.get("9", "")[:4].isdigit(), True, f"ORC-9 is a time, {orc.get('9')!r}")
        service = {"4.1": code, "4.3": "L", "4.4": LOINC[code], "4.6": "LN"}
        # Nothing was collected yet, so OBR-7 is empty; the priority is the sixth component of OBR-27.
        expect_positions("OBR", obr, {"1": str(index), "2.1": placer, "7": "", "24": ""} | service)
        expect_positions("OBR", obr, {"27": ""} if is_oml else {"27.6": "S"})
        if is_oml:
            expect_positions("TQ1", of_test["TQ1"], {"1": "1", "9.1": "S", "9.3": "HL70485"})
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
