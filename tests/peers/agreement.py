"""Other parsers and ours read the same messages: `hl7` and `hl7apy` of PyPI against `pms hl7 tree`.

The messages are those of a collection beside the repository, where there is one: nothing of it is part of the repository.
A field where they differ must fall into one of the classes named here; any other difference fails the check.
"""

import collections
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import hl7
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_segment

from report import Mismatch, Report

COLLECTION = Path(__file__).resolve().parents[3] / "shared" / "corpus"
NOT_MESSAGES = {"LICENSES", "expected-fhir"}

Fields = dict[int, str]
Tree = list[tuple[str, Fields | None]]


def check(report: Report) -> None:
    if not COLLECTION.is_dir():
        print(f"skip agreement with other parsers: there is no {COLLECTION.name} beside the repository", flush=True)
        return
    messages = list(read_by_us())
    with report.check("hl7: every field as python-hl7 reads it"):
        tell("python-hl7", compare(messages, by_python_hl7))
    with report.check("hl7apy: every field as hl7apy reads it"):
        tell("hl7apy", compare(messages, by_hl7apy))


def read_by_us() -> Iterator[Tree]:
    """The messages that we can read, as segments with the raw text of each field that holds something."""
    files = [
        str(path)
        for folder in sorted(COLLECTION.iterdir())
        if folder.is_dir() and folder.name not in NOT_MESSAGES
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    done = subprocess.run([os.environ["PMS_BINARY"], "hl7", "tree", *files], capture_output=True, timeout=60, check=True)
    for line in done.stdout.decode().splitlines():
        tree = json.loads(line)["tree"]
        if tree:
            yield [
                (segment["name"], {field["position"]: field["raw"] for field in segment["fields"]}) for segment in tree
            ]


def text_of(tree: Tree) -> str:
    """The message as one that every parser takes: CR behind each segment, the fields as they were sent."""
    lines = []
    for name, fields in tree:
        separator = tree[0][1][1]
        first = 3 if name in ("MSH", "FHS", "BHS") else 1
        last = max(fields, default=0)
        values = [fields.get(position, "") for position in range(first, last + 1)]
        head = name + separator + fields.get(2, "") if first == 3 else name
        lines.append(separator.join([head, *values]))
    return "\r".join(lines) + "\r"


def by_python_hl7(text: str, tree: Tree) -> Tree:
    message = hl7.parse(text)
    read = []
    for segment in message:
        fields = {position: str(segment[position]) for position in range(1, len(segment))}
        read.append((str(segment[0]), {position: raw for position, raw in fields.items() if raw}))
    return read


def by_hl7apy(text: str, tree: Tree) -> Tree:
    version = tree[0][1].get(12, "").split(tree[0][1][2][0])[0]
    separator, encoding = tree[0][1][1], tree[0][1][2]
    characters = {"FIELD": separator, "COMPONENT": encoding[0], "REPETITION": encoding[1], "ESCAPE": encoding[2]}
    characters |= {"SUBCOMPONENT": encoding[3], "GROUP": "\r", "SEGMENT": "\r"}
    version = version if version in VERSIONS else "2.5.1"
    read = []
    for line in text.rstrip("\r").split("\r"):
        try:
            read.append(segment_by_hl7apy(line, version, characters))
        except (HL7apyException, AttributeError, IndexError):
            # A segment, or a field behind the last one, that its tables do not have.
            read.append((line[:3], None))
    return read


def segment_by_hl7apy(line: str, version: str, characters: dict[str, str]) -> tuple[str, Fields]:
    segment = parse_segment(
        line, version=version, encoding_chars=characters, validation_level=VALIDATION_LEVEL.TOLERANT
    )
    fields: dict[int, list[str]] = {}
    for child in segment.children:
        position = int(child.name.rpartition("_")[2])
        fields.setdefault(position, []).append(child.to_er7(characters))
    values = {position: characters["REPETITION"].join(parts) for position, parts in fields.items()}
    if segment.name == "MSH":
        values |= {1: characters["FIELD"], 2: line[4:].split(characters["FIELD"])[0]}
    return segment.name, {position: value for position, value in values.items() if value}


VERSIONS = {"2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2"}


def compare(messages: list[Tree], read) -> collections.Counter:
    """Fields that agree, and those that differ, by why."""
    counted: collections.Counter = collections.Counter()
    for tree in messages:
        try:
            theirs = read(text_of(tree), tree)
        except (HL7apyException, hl7.HL7Exception, IndexError) as fault:
            counted[f"the other cannot read the message ({type(fault).__name__})"] += 1
            continue
        if [name for name, _ in tree] != [name for name, _ in theirs]:
            raise Mismatch(f"segments {[name for name, _ in theirs]} instead of {[name for name, _ in tree]}")
        for (name, ours), (_, other) in zip(tree, theirs, strict=True):
            if other is None:
                counted["segments that the other's tables do not have"] += 1
                continue
            for position in ours.keys() | other.keys():
                counted[why(name, position, ours.get(position, ""), other.get(position, ""))] += 1
    return counted


AGREE = "fields agree"


def why(name: str, position: int, ours: str, other: str) -> str:
    """The class of a difference. What the other changes is undone on both sides, and they are compared again."""
    if ours == other:
        return AGREE
    if (name, position, ours, other) == ("MSH", 3, "", "MSH"):
        return "the other answers with the segment's name for a field behind the last one"
    for reason, undone in CLASSES:
        if undone(ours) == undone(other):
            return f"the other {reason}"
    return f"unexplained: {name}-{position}"


def without_tails(value: str) -> str:
    return re.sub(r"[\^&~]+(?=[\^~]|$)", "", value)


def without_blanks(value: str) -> str:
    return without_tails("^".join(part.strip() for part in value.split("^")))


def unescaped_once(value: str) -> str:
    return without_tails(value.replace("\\E\\", "\\"))


def plain_numbers(value: str) -> str:
    return re.sub(r"(?<![0-9.])0+(?=[0-9])", "", value)


def without_zeros(value: str) -> str:
    return plain_numbers(without_tails(value))


def without_first_gap(value: str) -> str:
    return "~".join(re.sub(r"^\^+", "", part) for part in without_zeros(value).split("~"))


def whatever_the_order(value: str) -> str:
    parts = (sorted(part for part in repetition.split("^") if part) for repetition in plain_numbers(value).split("~"))
    return "~".join("^".join(part) for part in parts)


CLASSES = [
    ("drops empty parts at the end of a value", without_tails),
    ("drops values that are blank", without_blanks),
    ("escapes the commands of formatted text once more", unescaped_once),
    ("writes numbers anew, without their leading zeros", without_zeros),
    ("loses a first component that is empty", without_first_gap),
    ("moves a component that its version has withdrawn behind the last one", whatever_the_order),
]


def tell(who: str, counted: collections.Counter) -> None:
    for reason, count in sorted(counted.items()):
        print(f"     {who}: {count} {reason}", flush=True)
    unexplained = [reason for reason in counted if reason.startswith("unexplained")]
    if unexplained or not counted[AGREE]:
        raise Mismatch("; ".join(sorted(unexplained)[:10]) or "nothing was compared")
