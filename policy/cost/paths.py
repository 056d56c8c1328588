"""Ways that the days to come may go, drawn from the errors of the past.

A path draws an error for each day to come and follows what it hands on to the days after it. What
days come to is linear in the errors, so a sum needs one multiplication for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import add, mul
from random import Random
from statistics import fmean
from typing import Final

from policy.cost.outlook import Outlook

PATHS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Ways that the days to come may go, of which the first is the rest of today.

    Attributes:
        means: of each day.
        weights: what an error of a day adds to the sum up to so many days after it, by that number.
        draws: of each path an error for each day.
        rest: the part of today that is to come.
        lines: of each path, how far its line is off in the first day, and by how much more in each
            day after it; empty where it follows no line.
    """

    means: tuple[float, ...]
    weights: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...]
    rest: float
    lines: tuple[tuple[float, float], ...] = ()

    def sums(self, days: int) -> list[float]:
        """What the first so many days come to on each path, ascending, zero or more."""
        mean = sum(self.means[:days]) - (1 - self.rest) * self.means[0]
        weights = list(reversed(self.weights[:days]))
        weights[0] -= 1 - self.rest
        sums: Iterator[float] = (mean + sum(map(mul, weights, draw)) for draw in self.draws)
        if self.lines:
            length, further = days - 1 + self.rest, days * (days - 1) / 2
            off = (first * length + more * further for first, more in self.lines)
            sums = map(add, sums, off)
        return sorted(max(0.0, each) for each in sums)


def paths(found: Outlook, *, rest: float, random: Random, count: int = PATHS) -> Paths:
    """Draw so many ways that the days of the outlook may go.

    Args:
        found: the outlook, from today on.
        rest: the part of today that is to come, 0..1.
        random: what is drawn with.
        count: how many.
    """
    days = len(found.means)
    return Paths(
        means=found.means,
        weights=tuple(accumulate(found.responses, initial=1.0)),
        draws=tuple(tuple(random.choices(found.errors, k=days)) for _ in range(count)),
        rest=rest,
        lines=tuple(_lines(found, random=random, count=count)),
    )


def _lines(found: Outlook, *, random: Random, count: int) -> Iterator[tuple[float, float]]:
    """How far the lines may be off that the past allows for.

    The slope by Sen's interval: of the slopes between two days, the one at a place about the middle
    that varies as Kendall's statistic does; the level by the mean of errors that are drawn.
    """
    if not found.slopes:
        return
    days, pairs = len(found.errors), len(found.slopes)
    for _ in range(count):
        place = round((pairs - 1) / 2 + random.gauss(0.0, found.places))
        slope = found.slopes[min(pairs - 1, max(0, place))]
        level = fmean(random.choices(found.errors, k=days))
        yield level + slope * found.middle, slope
