"""How tenants behave over time, each habit a small function of the moment.

A habit answers with two factors on the tenant's size: one for samples, one for series. It
is a pure function of the time, so a past can be told that the present continues.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from simulator.noise import unit

_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0

# People are busiest at 14:00 UTC.
_BUSIEST: Final = 14.0 / 24.0
_SWING: Final = 0.35

BLAST_FACTOR: Final = 10.0
BLAST_SECONDS: Final = 5 * _MINUTE
BLAST_EVERY_SECONDS: Final = 30 * _MINUTE


class Moment(NamedTuple):
    """A point in time as habits see it.

    Attributes:
        at: Unix seconds.
        age_seconds: since the cluster started; negative in its past.
        blast_after_seconds: the age at which blasting tenants blast first.
    """

    at: float
    age_seconds: float
    blast_after_seconds: float


class Factor(NamedTuple):
    """What a tenant's samples and series are multiplied by."""

    samples: float
    series: float


Habit = Callable[[int, Moment], Factor]


def steady(_key: int, _moment: Moment) -> Factor:
    """The same at all hours."""
    return Factor(1.0, 1.0)


def diurnal(_key: int, moment: Moment) -> Factor:
    """Full at 14:00 UTC, down to three tenths at 02:00."""
    phase = (moment.at % _DAY) / _DAY - 14.0 / 24.0
    wave = 0.65 + 0.35 * math.cos(2.0 * math.pi * phase)
    return Factor(wave, 0.6 + 0.4 * wave)


def weekly(key: int, moment: Moment) -> Factor:
    """Diurnal on weekdays, less than half of that on Saturday and Sunday."""
    day = diurnal(key, moment)
    # The Unix epoch was a Thursday; three days later the first week began.
    weekday = ((moment.at - 4 * _DAY) / _DAY) % 7.0
    into_weekend = min(1.0, max(0.0, (weekday - 5.0) * 6.0))
    out_of_weekend = min(1.0, max(0.0, (7.0 - weekday) * 6.0))
    weekend = min(into_weekend, out_of_weekend)
    return Factor(day.samples * (1.0 - 0.55 * weekend), day.series * (1.0 - 0.3 * weekend))


def growing(_key: int, moment: Moment) -> Factor:
    """A seventh more each day, from a fifth of today's size at the least."""
    size = max(0.2, 1.0 + moment.age_seconds / (7.0 * _DAY))
    return Factor(size, size)


def bursty(key: int, moment: Moment) -> Factor:
    """About one minute in ten at four to seven times the usual samples; few new series."""
    window, into = divmod(moment.at, 10 * _MINUTE)
    starts = 8 * _MINUTE * unit(key, 2 * int(window))
    lasts = 40.0 + 50.0 * unit(key + 1, 2 * int(window))
    if not starts <= into < starts + lasts:
        return Factor(1.0, 1.0)
    return Factor(4.0 + 3.0 * unit(key + 2, 2 * int(window)), 1.05)


def idle(_key: int, moment: Moment) -> Factor:
    """Sends for the first ten minutes of every second hour; its series stay the same ones."""
    sending = moment.at % (2 * _HOUR) < 10 * _MINUTE
    return Factor(1.0 if sending else 0.0, 1.0)


def blasting(_key: int, moment: Moment) -> Factor:
    """Steady, but ten times its size for five minutes of every thirty once it has begun."""
    into = moment.age_seconds - moment.blast_after_seconds
    in_blast = into >= 0.0 and into % BLAST_EVERY_SECONDS < BLAST_SECONDS
    return Factor(BLAST_FACTOR, BLAST_FACTOR) if in_blast else Factor(1.0, 1.0)


# A churning tenant is steady in size; its series are replaced all the time (Tenant.churn).
HABITS: Final[dict[str, Habit]] = {
    "steady": steady,
    "diurnal": diurnal,
    "weekly": weekly,
    "growing": growing,
    "bursty": bursty,
    "idle": idle,
    "churning": steady,
    "blasting": blasting,
}


def busy(at: float) -> float:
    """How busy people are at that time of the day, 0.3 to 1."""
    return 1.0 - _SWING + _SWING * math.cos(2.0 * math.pi * (at / _DAY - _BUSIEST))


def busy_until(at: float) -> float:
    """The integral of `busy`, in seconds: a counter that grows by it never falls."""
    swing = math.sin(2.0 * math.pi * (at / _DAY - _BUSIEST)) * _DAY / (2.0 * math.pi)
    return (1.0 - _SWING) * at + _SWING * swing
