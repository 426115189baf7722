"""Reads an acknowledgement with two parsers that are not ours."""

import hl7
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from report import expect


def accepted(frame: bytes, control_id: str, event: str = "R01") -> None:
    """One MLLP frame with an ACK that both parsers understand and hl7apy finds valid under its strict rules."""
    expect((frame[:1], frame[-2:]), (b"\x0b", b"\x1c\r"), f"frame of {frame!r}")
    text = frame[1:-2].decode()
    by_hl7 = hl7.parse(text)
    msa = by_hl7.segment("MSA")
    expect((str(msa[1]), str(msa[2])), ("AA", control_id), f"MSA by hl7 in {text!r}")

    by_hl7apy = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
    seen = (by_hl7apy.msa.msa_1.value, by_hl7apy.msa.msa_2.value)
    expect(seen, ("AA", control_id), f"MSA by hl7apy in {text!r}")
    by_hl7apy.validate()
    header = by_hl7apy.msh
    expect(header.msh_9.value, f"ACK^{event}^ACK", "MSH-9")
    expect((header.msh_3.value, header.msh_4.value), ("PMS_LAB", "MPS_PMS"), "MSH-3 and MSH-4")
