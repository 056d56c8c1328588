"""What days to come will cost, by the days that were: a mean of each, and how far it may be off.

With six weeks of days or more it is a damped additive Holt-Winters with a season of a week, in
error-correction form, of a small grid the one with the least squared errors after two seasons.
With fewer, a line by Theil and Sen, from four weeks on one that compares a day with the same day of
other weeks (Hirsch, Slack and Smith 1982). Below three days nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt
from statistics import fmean, median
from typing import Final, Literal

WEEK: Final = 7
LEAST_DAYS: Final = 3
WEEKLY_DAYS: Final = 28
"""From here on a line knows the week: four of each day tell a usual one from a chance."""
SEASONAL_DAYS: Final = 42
"""From here on weights are chosen: by fewer errors than four weeks of them, too often by chance."""
ALPHAS: Final = (0.1, 0.2, 0.35, 0.5)
BETAS: Final = (0.01, 0.05, 0.15)
GAMMAS: Final = (0.05, 0.2)
PHIS: Final = (0.9, 0.98)
_SCORED_FROM: Final = 2 * WEEK


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The days to come, in the unit of the days that were.

    Attributes:
        method: what it comes from.
        means: of each day to come, zero or more.
        responses: what an error of one on a day adds to the k-th day after it, from k = 1 on.
        errors: of the past, to draw from.
        slopes: of a line, how far each slope between two days is from its own, ascending; empty
            where it is no line.
        places: by how many of the slopes the place of its own varies (a standard deviation).
        middle: the days from the middle of the past to the first day to come.
    """

    method: Literal["holt-winters", "theil-sen"]
    means: tuple[float, ...]
    responses: tuple[float, ...]
    errors: tuple[float, ...]
    slopes: tuple[float, ...] = ()
    places: float = 0.0
    middle: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weights:
    alpha: float
    beta: float
    gamma: float
    phi: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    level: float
    slope: float
    season: tuple[float, ...]
    """Of the next seven days, the next one first."""


def outlook(past: Sequence[float], *, days: int) -> Outlook | None:
    """The outlook of so many days; None below LEAST_DAYS of past.

    Args:
        past: what each day cost, the oldest first, without a gap.
        days: how many to come.
    """
    if len(past) < LEAST_DAYS:
        return None
    if len(past) < WEEKLY_DAYS:
        return _line(past, days=days, season=1)
    if len(past) < SEASONAL_DAYS:
        return _line(past, days=days, season=WEEK)
    return _seasonal(past, days=days)


def _line(past: Sequence[float], *, days: int, season: int) -> Outlook:
    """A line on which a season of so many days lies; days are compared a whole season apart."""
    count = len(past)
    slopes = sorted(
        (past[later] - past[earlier]) / (later - earlier)
        for earlier in range(count)
        for later in range(earlier + season, count, season)
    )
    slope = median(slopes)
    flat = [value - slope * day for day, value in enumerate(past)]
    levels = [median(flat[first::season]) for first in range(season)]
    return Outlook(
        method="theil-sen",
        means=tuple(
            max(0.0, levels[day % season] + slope * day) for day in range(count, count + days)
        ),
        responses=(0.0,) * (days - 1),
        errors=tuple(value - levels[day % season] for day, value in enumerate(flat)),
        slopes=tuple(each - slope for each in slopes),
        places=_places(len(range(first, count, season)) for first in range(season)),
        middle=count - (count - 1) / 2,
    )


def _places(counts: Iterable[int]) -> float:
    """Half the deviation of Kendall's statistic: of each day of the season, so many days."""
    return sqrt(sum(days * (days - 1) * (2 * days + 5) / 18 for days in counts)) / 2


def _seasonal(past: Sequence[float], *, days: int) -> Outlook:
    begin = _begin(past)
    grid = [
        _Weights(alpha=alpha, beta=beta, gamma=gamma, phi=phi)
        for alpha, beta, gamma, phi in product(ALPHAS, BETAS, GAMMAS, PHIS)
    ]
    best = min(grid, key=lambda each: _followed(past, begin, each)[0])
    _, errors, end = _followed(past, begin, best)
    return Outlook(
        method="holt-winters",
        means=tuple(_means(end, best, days=days)),
        responses=tuple(_responses(best, days=days)),
        errors=errors,
    )


def _begin(past: Sequence[float]) -> _State:
    first, second = past[:WEEK], past[WEEK : 2 * WEEK]
    level, after = fmean(first), fmean(second)
    season = tuple(
        fmean((one - level, other - after)) for one, other in zip(first, second, strict=True)
    )
    return _State(level=level, slope=(after - level) / WEEK, season=season)


def _followed(
    past: Sequence[float], begin: _State, weights: _Weights
) -> tuple[float, tuple[float, ...], _State]:
    """The sum of squares and the errors after two seasons, and where the past ends."""
    level, slope, season = begin.level, begin.slope, list(begin.season)
    of_level, of_season, phi = weights.alpha, weights.gamma * (1 - weights.alpha), weights.phi
    of_slope = weights.alpha * weights.beta
    errors = []
    day = 0
    for value in past:
        level += phi * slope
        error = value - level - season[day]
        level += of_level * error
        slope = phi * slope + of_slope * error
        season[day] += of_season * error
        day = day + 1 if day < WEEK - 1 else 0
        errors.append(error)
    scored = errors[_SCORED_FROM:]
    end = _State(level=level, slope=slope, season=(*season[day:], *season[:day]))
    return sum(error * error for error in scored), tuple(scored), end


def _means(end: _State, weights: _Weights, *, days: int) -> Iterator[float]:
    level, slope = end.level, end.slope
    for day in range(days):
        slope *= weights.phi
        level += slope
        yield max(0.0, level + end.season[day % WEEK])


def _responses(weights: _Weights, *, days: int) -> Iterator[float]:
    """Of an error: what its level, its slope so far, and a week later its season hand on."""
    of_slope, damped = 0.0, 1.0
    for after in range(1, days):
        damped *= weights.phi
        of_slope += weights.alpha * weights.beta * damped
        of_season = weights.gamma * (1 - weights.alpha) if after % WEEK == 0 else 0.0
        yield weights.alpha + of_slope + of_season
