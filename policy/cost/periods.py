"""Days, weeks, months and years as people mean them: in a time zone, whatever its clocks do.

A period begins at local midnight, or at the first moment after it on a day that has none, and
ends where the next one begins. So a day of a change of clocks has 23 or 25 hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from policy.errors import ConfigError

Unit = Literal["day", "week", "month", "year"]
UNITS: Final[tuple[Unit, ...]] = ("day", "week", "month", "year")
NAMED: Final = (
    "today",
    "yesterday",
    "week",
    "lastweek",
    "month",
    "lastmonth",
    "year",
    "lastyear",
)
_LENGTH: Final = re.compile(r"(\d+)([hdw])")
_HOURS: Final = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The moments from `start` until before `end`, aware UTC."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """How long it is."""
        return (self.end - self.start) / timedelta(hours=1)

    def passed(self, now: datetime) -> float:
        """The part of it that is over, 0 to 1."""
        return min(1.0, max(0.0, (now - self.start) / (self.end - self.start)))


def period(unit: Unit, *, at: datetime, zone: ZoneInfo) -> Period:
    """The period of this length that the moment is in; weeks begin on Monday."""
    first = _first(unit, at.astimezone(zone).date())
    return Period(start=_midnight(first, zone), end=_midnight(_next(unit, first), zone))


def pieces(whole: Period, *, unit: Unit, zone: ZoneInfo) -> list[Period]:
    """The days, weeks or months that the period is in, the first and the last cut to it."""
    found = []
    start = whole.start
    while start < whole.end:
        end = min(period(unit, at=start, zone=zone).end, whole.end)
        found.append(Period(start=start, end=end))
        start = end
    return found


def window(text: str, *, now: datetime, zone: ZoneInfo) -> Period:
    """The window that a person names.

    Args:
        text: one of NAMED; a length like `48h`, `7d`, `4w` up to now; or two days or moments with
            `..` between them, the second of which is not in it.
        now: aware UTC.
        zone: of days, and of moments without an offset.

    Raises:
        ConfigError: it is none, or ends before it begins.
    """
    named = text.strip().lower()
    if named == "yesterday":
        return _before("day", now=now, zone=zone)
    if named == "today":
        return period("day", at=now, zone=zone)
    if named in NAMED:
        unit: Unit = next(unit for unit in UNITS if named.endswith(unit))
        if named.startswith("last"):
            return _before(unit, now=now, zone=zone)
        return period(unit, at=now, zone=zone)
    if match := _LENGTH.fullmatch(named):
        length = timedelta(hours=int(match[1]) * _HOURS[match[2]])
        if length:
            return Period(start=now - length, end=now)
    begins, between, ends = text.partition("..")
    if not between:
        raise ConfigError(
            f"{text!r} is no window; write one of {', '.join(NAMED)}, a length like 7d, or two "
            "days like 2026-11-01..2026-12-01"
        )
    found = Period(start=moment(begins, zone=zone), end=moment(ends, zone=zone))
    if found.end <= found.start:
        raise ConfigError(f"the window {text!r} ends before it begins")
    return found


def moment(text: str, *, zone: ZoneInfo) -> datetime:
    """The day's midnight or the moment that a person names, aware UTC.

    Raises:
        ConfigError: it is none.
    """
    written = text.strip()
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise ConfigError(
            f"{written!r} is no day or moment; write it like 2026-11-01 or 2026-11-01T06:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _before(unit: Unit, *, now: datetime, zone: ZoneInfo) -> Period:
    this = period(unit, at=now, zone=zone)
    return period(unit, at=this.start - timedelta(microseconds=1), zone=zone)


def _first(unit: Unit, day: date) -> date:
    match unit:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def _next(unit: Unit, first: date) -> date:
    longest = {"day": 1, "week": 7, "month": 31, "year": 366}[unit]
    return _first(unit, first + timedelta(days=longest))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Where midnight comes twice the first is meant; where it does not come, the moment of the
    # change: fold 0 takes the offset of before, which lands there.
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
