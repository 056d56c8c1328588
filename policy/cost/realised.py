"""Recommendations that were followed, and what came of it.

One was followed when it stands no more because what it is about has come down to what it asked
for. That cuts exposure at once. What was spent less is measured: seven whole days since against
the seven before, in units of usage at the prices of now. A limit above what a tenant uses saves
nothing, whatever the tenant sends later; a fall that lies within what days differ by anyway is
none; and where other usage fell with it, nobody knows why.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.budgets import MONEY
from policy.cost.recommendation import KEYS, NOTHING, SAVINGS, UNKNOWN, priced
from policy.frames import UTC_TIME
from policy.signals import INGESTION_RATE, SERIES

COMPARED_DAYS: Final = 7
HOURS_PER_DAY: Final = 24
# Which usage a recommendation about no limit is to cut, as the limit that prices it.
USAGE_OF: Final[Mapping[str, str]] = {"churn": SERIES, "duplicate samples": INGESTION_RATE}
_OTHER: Final = {INGESTION_RATE: "active_series", SERIES: "samples_per_second"}
_OWN: Final = {INGESTION_RATE: "samples_per_second", SERIES: "active_series"}

# A recommendation that stood at a run: since when, and what it was about when it first did.
STOOD: Final = pl.Schema({**SAVINGS, "since": UTC_TIME, "first_value": pl.Float64()})
# One row per recommendation that was followed. It was about `value` when it began to stand, and
# that has come to `reached`; amounts are of a month. `spend` is null while it is not known.
# `over_at` is null while it holds.
FOLLOWED: Final = pl.Schema(
    {
        "since": UTC_TIME,
        **dict.fromkeys(KEYS, pl.String()),
        "value": pl.Float64(),
        "reached": pl.Float64(),
        "exposure": MONEY,
        "spend": MONEY,
        "recommended_since": UTC_TIME,
        "target": pl.Float64(),
        "because": pl.String(),
        "over_at": UTC_TIME,
    }
)
# Means of a tenant in a whole day before or from `since`: `day` -7 to 6.
DAYS_OF_USAGE: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "since": UTC_TIME,
        "day": pl.Int64(),
        "hours": pl.Int64(),
        "samples_per_second": pl.Float64(),
        "active_series": pl.Float64(),
    }
)


def followed(
    before: pl.DataFrame,
    *,
    found: pl.DataFrame,
    now: pl.DataFrame,
    band: float,
    month_of: Mapping[str, Decimal],
    at: datetime,
) -> pl.DataFrame:
    """FOLLOWED: what stood and stands no more, because it came down to what was asked for.

    Args:
        before: STOOD at the run before.
        found: SAVINGS that stand now.
        now: MEASURED.
        band: the part of a limit within which it fits, 0 to 1: none is lowered for less.
        month_of: what a month of one unit of each limit costs.
        at: aware UTC.
    """
    came_to = pl.col("value_now") * (1 - pl.when(pl.col("limit").is_null()).then(0).otherwise(band))
    return (
        before.join(found, on=KEYS, how="anti", nulls_equal=True)
        .join(now, on=KEYS, how="inner", nulls_equal=True, suffix="_now")
        .filter(came_to <= pl.col("target"), pl.col("value_now") < pl.col("first_value"))
        .with_columns(
            since=pl.lit(at, dtype=UTC_TIME),
            recommended_since=pl.col("since"),
            value=pl.col("first_value"),
            reached=pl.col("value_now"),
            exposure=priced(pl.col("first_value") - pl.col("value_now"), month_of),
            spend=UNKNOWN,
            over_at=pl.lit(None, dtype=UTC_TIME),
        )
        .select(FOLLOWED.names())
        .cast(FOLLOWED)
        .sort(KEYS)
    )


def undone(holds: pl.DataFrame, *, found: pl.DataFrame, now: pl.DataFrame) -> pl.DataFrame:
    """KEYS of what was followed (FOLLOWED) and is as it was before, or recommended again."""
    back = holds.join(now, on=KEYS, how="inner", nulls_equal=True, suffix="_now").filter(
        pl.col("value_now") >= pl.col("value")
    )
    again = holds.join(found, on=KEYS, how="semi", nulls_equal=True)
    return pl.concat([back.select(KEYS), again.select(KEYS)]).unique().sort(KEYS)


def spent_less(
    holds: pl.DataFrame, *, days: pl.DataFrame, month_of: Mapping[str, Decimal]
) -> pl.DataFrame:
    """KEYS and `spend`, of what was followed (FOLLOWED) and of which both weeks are known.

    Args:
        holds: FOLLOWED.
        days: DAYS_OF_USAGE.
        month_of: what a month of one unit of each limit costs.
    """
    about = pl.coalesce("limit", pl.col("kind").replace_strict(USAGE_OF, default=None))
    past = pl.col("day") < 0
    weeks = (
        holds.with_columns(lowered=pl.col("limit").is_not_null(), about=about)
        .join(days.filter(hours=HOURS_PER_DAY), on=["tenant", "since"])
        .with_columns(own=_usage(_OWN), other=_usage(_OTHER))
        .group_by(*KEYS, "about", "lowered", "reached")
        .agg(
            **_week("before", past),
            **_week("week", ~past),
            spread=pl.col("own").filter(past).std(),
            other_spread=pl.col("other").filter(past).std(),
        )
        .filter(pl.min_horizontal("days_before", "days_week") == COMPARED_DAYS)
    )
    fall = pl.col("own_before") - pl.col("own_week")
    real = fall > pl.col("spread")
    others_too = pl.col("other_before") - pl.col("other_week") > pl.col("other_spread")
    # What usage was beneath the lower limit, that limit has not cut.
    cut = (
        pl.when("lowered")
        .then(
            (pl.col("own_before") - pl.max_horizontal("own_week", "reached")).clip(lower_bound=0.0)
        )
        .otherwise(fall)
    )
    return weeks.with_columns(
        spend=pl.when(~real | (cut <= 0))
        .then(NOTHING)
        .when(~pl.col("lowered") & others_too.fill_null(value=False))
        .then(UNKNOWN)
        .otherwise(priced(cut, month_of, limit="about"))
    ).select(*KEYS, "spend")


def _usage(columns: Mapping[str, str]) -> pl.Expr:
    """The column that the limit in `about` names."""
    chosen: pl.Expr = pl.lit(None, dtype=pl.Float64)
    for limit, column in columns.items():
        chosen = pl.when(pl.col("about") == limit).then(column).otherwise(chosen)
    return chosen


def _week(name: str, days: pl.Expr) -> dict[str, pl.Expr]:
    own, other = pl.col("own").filter(days), pl.col("other").filter(days)
    return {
        f"days_{name}": own.count(),
        f"own_{name}": own.mean(),
        f"other_{name}": other.mean(),
    }
