"""Results as labs send them, for MRN 12345."""


HEADER = r"MSH|^~\&|{lab}|PMS_LAB|MPS_PMS|20260221120000+0000||ORU^R01^ORU_R01|{id}|P|2.5.1||||||UNICODE UTF-8"
PATIENT = "PID|1||12345^^^MPS_PMS^MR||Doe^Jane||19900315|F"
PANEL = "OBR|1|{placer}|{filler}|CBC^Blood Count^L|||20260221110000+0000" + "|" * 15 + "20260221115500+0000|||F"


def result(
    control_id: str, filler: str, observations: list[str], placer: str = "", lab: str = "LAB_LIS|REFERENCE_LAB"
) -> str:
    """An ORU^R01 with one order; an observation is what stands between OBX-1 and OBX-9."""
    segments = [HEADER.format(lab=lab, id=control_id), PATIENT, PANEL.format(placer=placer, filler=filler)]
    segments += [f"OBX|{index}|{text}|||F" for index, text in enumerate(observations, 1)]
    return "\r".join(segments) + "\r"
