"""What each budget's period will come to: by the past of its scope, and paths from there.

What the same days give is the same whenever it is asked: what is drawn is seeded by scope and day.
Where there is too little past there is no figure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.outlook import outlook
from policy.cost.paths import Paths, paths
from policy.cost.periods import Period, period, pieces
from policy.cost.standing import SPENDING

HISTORY_DAYS: Final = 140
"""At most so many days count: twenty weeks tell a level, a trend and a week."""
LEAST_PRICED: Final = 0.75
"""Of the hours of a day; one of which less is priced ends the past that counts."""
EARLY, HALF, LATE = 0.1, 0.5, 0.9
HOUR: Final = timedelta(hours=1)

# What the whole period will come to, in the budget's currency: what is spent of it, and the rest.
# Without enough past all is null. `crosses_on` the local day on which half of the paths have
# exceeded the budget, `crosses_early_on` a tenth; null: not in this period, or it is used up.
FORECASTS: Final = pl.Schema(
    {
        "scope": pl.String(),
        "name": pl.String(),
        "unit": pl.String(),
        "method": pl.String(),
        "p10": pl.Float64(),
        "p50": pl.Float64(),
        "p90": pl.Float64(),
        "over_probability": pl.Float64(),
        "crosses_on": pl.Date(),
        "crosses_early_on": pl.Date(),
    }
)
_KEYS: Final = ("scope", "name")


def forecasts(
    status: pl.DataFrame,
    *,
    spent: pl.DataFrame,
    days: pl.DataFrame,
    now: datetime,
    zone: ZoneInfo,
    seeded: Callable[[str], Random] = Random,
) -> pl.DataFrame:
    """FORECASTS of each budget of which it is known what is spent.

    Args:
        status: STATUS.
        spent: SPENDING of its scopes.
        days: DAYS, the last of which is today.
        now: aware UTC.
        zone: of the days.
        seeded: gives what is drawn with, by the name of scope and day.
    """
    today = period("day", at=now, zone=zone)
    first = now.astimezone(zone).date()
    lengths = {
        end: len(pieces(Period(start=today.start, end=end), unit="day", zone=zone))
        for end in status["ends"].unique()
    }
    priced = float(days.filter(pl.col("starts") == today.start)["hours"].sum())
    rest = max(0.0, 1 - priced / today.hours)
    known = status.drop_nulls("spent")
    pasts = past(spent, days=days.filter(pl.col("starts") < today.start))
    found = []
    for (scope, name), its in known.group_by(*_KEYS, maintain_order=True):
        ahead = outlook(
            pasts.get((str(scope), str(name)), ()), days=max(lengths[end] for end in its["ends"])
        )
        if ahead is None:
            continue
        drawn = paths(ahead, rest=rest, random=seeded(f"{scope} {name} {first}"))
        for unit, end, so_far, budget in its.select("unit", "ends", "spent", "budget").iter_rows():
            told = _told(
                drawn, days=lengths[end], spent=float(so_far), budget=float(budget), first=first
            )
            found.append((scope, name, unit, ahead.method, *told))
    forecast = pl.DataFrame(found, schema=FORECASTS, orient="row")
    keys = [*_KEYS, "unit"]
    return status.select(keys).join(forecast, on=keys, how="left", maintain_order="left")


def past(spent: pl.DataFrame, *, days: pl.DataFrame) -> dict[tuple[str, str], list[float]]:
    """What each day of a scope cost, by scope and name: the newest days without a gap.

    A day of which some hours are not priced counts as if they were like the others.

    Args:
        spent: SPENDING.
        days: DAYS, all of which are over.
    """
    length = (pl.col("ends") - pl.col("starts")) / pl.lit(HOUR)
    share = days.sort("number").tail(HISTORY_DAYS).with_columns(share=pl.col("hours") / length)
    gap = pl.col("number").filter(pl.col("share") < LEAST_PRICED).max()
    usable = share.filter(gap.is_null() | (pl.col("number") > gap))
    its = spent.select(SPENDING.names()).join(usable.select("number"), on="number", how="semi")
    begins = its.group_by(_KEYS).agg(
        begins=pl.max_horizontal(
            pl.col("number").min(), pl.col("number").filter(pl.col("amount").is_null()).max() + 1
        )
    )
    rows = (
        begins.join(usable.select("number", "share"), how="cross")
        .filter(pl.col("number") >= pl.col("begins"))
        .join(its, on=[*_KEYS, "number"], how="left")
        .sort(*_KEYS, "number")
        .group_by(_KEYS, maintain_order=True)
        .agg(pl.col("amount").cast(pl.Float64).fill_null(0.0) / pl.col("share"))
    )
    return {(scope, name): amounts for scope, name, amounts in rows.iter_rows()}


def _told(
    drawn: Paths, *, days: int, spent: float, budget: float, first: date
) -> tuple[float, float, float, float, date | None, date | None]:
    sums = drawn.sums(days)
    left = budget - spent
    over = sum(each > left for each in sums) / len(sums)
    quantiles = [spent + _quantile(sums, at) for at in (EARLY, HALF, LATE)]

    def crossing(at: float) -> date | None:
        if left < 0 or _quantile(sums, at) <= left:
            return None
        low, high = 1, days
        while low < high:
            middle = (low + high) // 2
            if _quantile(drawn.sums(middle), at) > left:
                high = middle
            else:
                low = middle + 1
        return first + timedelta(days=low - 1)

    return quantiles[0], quantiles[1], quantiles[2], over, crossing(HALF), crossing(LATE)


def _quantile(ascending: Sequence[float], at: float) -> float:
    place = at * (len(ascending) - 1)
    index = min(int(place), len(ascending) - 2)
    (low, high), *_ = pairwise(ascending[index : index + 2])
    return low + (high - low) * (place - index)
