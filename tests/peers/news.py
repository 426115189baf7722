"""A discharge and a booking, as the service really sent them, are read by hl7apy, position by position."""

from hl7.client import MLLPClient
from hl7apy.parser import parse_message

from acks import accepted
from labs import expect_positions
from orders import faults_of, groups_of, hl7apy_reads, keeping_lab
from lab_servers import Segments
from report import DEADLINE_S, Report, expect
from service import Clinic

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5.1")
RESOURCES = ["PATIENT", "RESOURCES", "SERVICE", "LOCATION_RESOURCE", "PERSONNEL_RESOURCE"]
BOOKING = "\r".join(
    [
        r"MSH|^~\&|SCHED|CLINIC|PMS_LAB|MPS_PMS|20260302080000+0000||SIU^S12^SIU_S12|NEWS{number}|P|2.5.1",
        "SCH|P{number}^WARD|F{number}^SCHED|||||CHK^Check-up|BLOOD^Blood \\T\\ draw|||"
        "^^30^202603050900+0000^202603050930+0000",
        "NTE|1||fasting",
        "PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F",
        "RGS|1",
        "AIL|1||W1^12",
        "AIP|1||7^Smith^Ann^^^Dr.",
        "",
    ]
)


def check(clinic: Clinic, report: Report) -> None:
    patient = {"mrn": "4712|7", "last_name": "O'Neil & ^Sons~", "first_name": "Zoë\\"}
    patient = clinic.create("/api/patients", patient | {"date_of_birth": "1971-05-04", "gender": "male"})["id"]
    for number, version in enumerate(VERSIONS):
        with keeping_lab() as (port, received):
            endpoint = subscriber(clinic, version, port)
            with report.check(f"hl7apy: parse_message reads every position of a discharge in {version}"):
                discharge(clinic, patient)
                check_discharge(version, received.get(timeout=DEADLINE_S).decode())
            with report.check(f"hl7apy: parse_message reads every position of a booking in {version}"):
                with MLLPClient("127.0.0.1", clinic.mllp_port) as client:
                    client.socket.settimeout(15)
                    accepted(client.send_message(BOOKING.format(number=number)), f"NEWS{number}", "S12")
                check_booking(version, number, received.get(timeout=DEADLINE_S).decode())
            # It takes no orders of the checks that follow.
            clinic.request("PATCH", f"/api/lis-endpoints/{endpoint}", {"enabled": False})


def subscriber(clinic: Clinic, version: str, port: int) -> int:
    endpoint = {"name": f"news {version}", "host": "127.0.0.1", "port": port, "direction": "outbound"}
    profile = {"publish": ["ADT_A03", "SIU_S12"]}
    endpoint |= {"hl7_version": version, "time_zone": "Asia/Kolkata", "profile": profile}
    return clinic.create("/api/lis-endpoints", endpoint)["id"]


def discharge(clinic: Clinic, patient: int) -> None:
    visit = {"patient_id": patient, "class": "I", "location": "W1", "visit_number": "V7"}
    visit |= {"attending_provider": "17^Grey^Ada", "started_at": "2026-03-01T07:00:00Z"}
    visit = clinic.create("/api/encounters", visit)["id"]
    change = {"status": "finished", "ended_at": "2026-03-02T07:30:00Z"}
    expect(clinic.request("PATCH", f"/api/encounters/{visit}", change)[0], 200, "status of PATCH")


def reads(form: str, version: str, text: str, groups: list[str]) -> Segments:
    """The segments; the structure holds, and strict validation finds nothing."""
    parsed = parse_message(text, find_groups=True)
    expect(groups_of(parsed, form), groups, "groups")
    expect(faults_of(parsed), [], "faults")
    segments = hl7apy_reads(parsed)
    code, _, event = form.partition("_")
    kind = {"9.1": code, "9.2": event, "9.3": "" if version == "2.3" else form, "12": version}
    expect_positions("MSH", segments[0][1], kind | {"3": "PMS_LAB", "4": "MPS_PMS", "11": "P", "18": "UNICODE UTF-8"})
    return segments


def check_discharge(version: str, text: str) -> None:
    segments = reads("ADT_A03", version, text, [])
    expect([name for name, _ in segments], ["MSH", "EVN", "PID", "PV1"], "segments")
    of = dict(segments)
    expect_positions("EVN", of["EVN"], {"1": "A03", "2": of["MSH"]["7"], "6": "20260302130000+0530"})
    pid = {"3.1": "4712\\F\\7", "3.4": "MPS_PMS", "3.5": "MR", "5.1": "O'Neil \\T\\ \\S\\Sons\\R\\", "5.2": "Zoë\\E\\"}
    expect_positions("PID", of["PID"], pid | {"7": "19710504", "8": "M"})
    pv1 = {"2": "I", "3.1": "W1", "3.4": "MPS_PMS", "7.1": "17", "7.2": "Grey", "7.3": "Ada", "19.1": "V7"}
    expect_positions("PV1", of["PV1"], pv1 | {"36": "", "44": "20260301123000+0530", "45": "20260302130000+0530"})


def check_booking(version: str, number: int, text: str) -> None:
    segments = reads("SIU_S12", version, text, RESOURCES)
    # The structures of old versions have no TQ1 there.
    timing = ["TQ1"] if version >= "2.5" else []
    expect([name for name, _ in segments], ["MSH", "SCH", *timing, "NTE", "PID", "RGS", "AIS", "AIL", "AIP"], "segments")
    of = dict(segments)
    start, end = "20260305143000+0530", "20260305150000+0530"
    sch = {"1.1": f"P{number}", "1.2": "WARD", "2.1": f"F{number}", "2.2": "SCHED", "7.2": "Check-up"}
    sch |= {"8.2": "Blood \\T\\ draw", "9": "30", "11.4": start, "11.5": end, "25.1": "Booked"}
    expect_positions("SCH", of["SCH"], sch)
    if timing:
        expect_positions("TQ1", of["TQ1"], {"7": start, "8": end})
    expect_positions("PID", of["PID"], {"3.1": "12345", "5.1": "Doe"})
    expect_positions("AIS", of["AIS"], {"3.2": "Blood \\T\\ draw", "4": start, "7": "30", "8": "min"})
    expect_positions("AIL", of["AIL"], {"3.1": "W1 12", "6": start})
    expect_positions("AIP", of["AIP"], {"3.2": "Smith", "3.3": "Ann", "3.6": "Dr.", "6": start})
