"""Counts the checks and prints a line for each."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 20.0


class Mismatch(Exception):
    """What was seen is not what was expected."""


def expect(seen: object, expected: object, what: str) -> None:
    if seen != expected:
        raise Mismatch(f"{what}: {seen!r} instead of {expected!r}")


def eventually(read: Callable[[], T], holds: Callable[[T], bool], what: str) -> T:
    """Reads until it holds, and says what was last read when it never did."""
    end = time.monotonic() + DEADLINE_S
    while True:
        seen = read()
        if holds(seen):
            return seen
        if time.monotonic() > end:
            raise Mismatch(f"{what}: still {seen!r} after {DEADLINE_S:.0f} s")
        time.sleep(0.05)


class Report:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.subject = ""

    @contextmanager
    def during(self, subject: str) -> Iterator[None]:
        """Names what is under test. A start that fails, or a crash between two checks, is a failure as well."""
        self.subject = subject
        try:
            yield
        except Exception as fault:  # noqa: BLE001 - the next subject is to be tested whatever went wrong here
            self.add(False, f"could not be tested to the end: {fault}")

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """A check holds when its block raises nothing; the checks after it run in any case."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001 - a check fails with whatever its tools raise
            self.add(False, f"{name}: {type(fault).__name__}: {fault}")
        else:
            self.add(True, name)

    def add(self, holds: bool, text: str) -> None:
        self.passed += holds
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {self.subject}: {text}", flush=True)

    def close(self) -> int:
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0
