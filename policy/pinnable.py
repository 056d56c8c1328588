"""Which word an operator may say on a limit: a pin that Mimir takes and that means what it says.

Refused, each in one line with the way out: a limit that is unknown, deletes data or is no number;
a value that is none, negative, a fraction of a whole number, or outside the hard bounds; a 0 that
blocks the tenant, unless that is meant; words that would not stay on one line.
"""

from __future__ import annotations

import re
from math import ceil, floor, isfinite
from typing import Final
from unicodedata import category

from policy.catalogue import Catalogue, Limit
from policy.errors import ConfigError
from policy.figures import figure
from policy.layers import Bounds
from policy.settings.definitions import unknown
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE

_MAX_INTEGER: Final = 2.0**63
_GROUPED: Final = re.compile(r"\d{1,3}([,_]\d{3})+(\.\d+)?")
_UNSEEN: Final = {"Cc", "Cs", "Zl", "Zp"}  # control characters, broken bytes, line separators


class PinRefused(ConfigError):  # noqa: N818 - what became of it
    """The pin is not one that may be set; nothing was changed."""


def pinnable(
    name: str, value: str, *, catalogue: Catalogue, bounds: Bounds, blocking: bool = False
) -> float:
    """The number that the limit may be pinned to.

    Args:
        name: of the limit.
        value: as it was typed: 500000, 500_000, 500,000, 5e5, 0.5.
        catalogue: the limits that there are.
        bounds: the hard bounds; they hold for pins too.
        blocking: whether a 0 that refuses everything is meant.

    Raises:
        PinRefused: it may not.
    """
    limit = _limit(name, catalogue=catalogue)
    number = _number(value, limit=limit)
    _refuse_outside(number, limit=limit, bounds=bounds)
    if number == 0 and limit.zero_blocks and not blocking:
        raise PinRefused(
            f"{name} of 0 refuses everything that the tenant sends; if that is meant, say --yes"
        )
    return number


def spoken(text: str, *, of: str) -> str:
    """The text without space around it, if it is one line of something.

    Raises:
        PinRefused: it is empty, or holds what a line cannot.
    """
    said = text.strip()
    if not said:
        raise PinRefused(f"{of} is empty; without it this helps nobody later")
    if any(category(character) in _UNSEEN for character in said):
        raise PinRefused(f"{of} holds a line break or a control character; keep it to one line")
    return said


def _limit(name: str, *, catalogue: Catalogue) -> Limit:
    limit = catalogue.get(name)
    if limit is None:
        told = unknown(name, more=catalogue)
        way_out = "; `mlo limits` lists all" if told.endswith(".") else ""
        raise PinRefused(f"{name} {told.rstrip('.')}{way_out}")
    if limit.automation == "destructive":
        raise PinRefused(
            f"{name} deletes data when it is wrong, so it is not pinned; set it in your own file"
        )
    if not limit.is_number:
        raise PinRefused(f"{name} is a {limit.type} and no number; set it in your own file")
    return limit


def _number(text: str, *, limit: Limit) -> float:
    plain = text.replace(",", "").replace("_", "") if _GROUPED.fullmatch(text) else text
    try:
        number = float(plain)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise PinRefused(f"{text!r} is no number for {limit.name}; write it like 500000 or 0.5")
    if number < 0:
        raise PinRefused(f"{text} is negative, which Mimir misreads; give {limit.name} 0 or more")
    if limit.type == "int" and number != floor(number):
        raise PinRefused(
            f"{limit.name} is a whole number and {text} is none; give {floor(number)} or "
            f"{ceil(number)}"
        )
    if limit.type == "int" and number >= _MAX_INTEGER:
        raise PinRefused(f"{text} is more than Mimir can hold for {limit.name}; give less")
    return number


def _refuse_outside(number: float, *, limit: Limit, bounds: Bounds) -> None:
    name, endless = limit.name, limit.name in bounds.endless
    value = float("inf") if endless and number == 0 else number
    least, whose = bounds.minimum.get(name, 0.0), name
    if name == INGESTION_BURST_SIZE and bounds.minimum.get(INGESTION_RATE, 0.0) > least:
        least, whose = bounds.minimum[INGESTION_RATE], INGESTION_RATE
    if value < least:
        raise PinRefused(
            f"{figure(number)} is below the minimum of {figure(least)} for {whose}, which holds "
            "for pins too; pin it higher, or lower limits.minLimits first"
        )
    most = bounds.maximum.get(name)
    if most is not None and value > most and not (endless and most == 0):
        said = f"{figure(number)} means unlimited, which" if value != number else figure(number)
        raise PinRefused(
            f"{said} is above the maximum of {figure(most)} for {name}, which holds for pins too; "
            "pin it lower, or raise limits.maxLimits first"
        )
