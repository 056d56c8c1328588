"""What a check of the doctor says: one thing that was looked at, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at. `mend` is None where nothing need be done."""

    name: str
    outcome: Outcome
    found: str
    mend: str | None = None


def ok(name: str, found: str) -> Check:
    """It is as it must be."""
    return Check(name=name, outcome="ok", found=_one_line(found))


def warning(name: str, found: str, *, mend: str) -> Check:
    """It works, and not as it could."""
    return Check(name=name, outcome="warning", found=_one_line(found), mend=mend)


def failed(name: str, found: str, *, mend: str) -> Check:
    """Something will not work until this is mended."""
    return Check(name=name, outcome="failed", found=_one_line(found), mend=mend)


def skipped(name: str, found: str) -> Check:
    """It could not, or need not, be looked at."""
    return Check(name=name, outcome="skipped", found=_one_line(found))


def _one_line(text: str) -> str:
    return " ".join(text.split())
