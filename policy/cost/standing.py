"""How far budgets are used: what was spent by whom, in the periods that run.

What everybody spends is what tenants are charged, and what idles where a bill is known; what a team
spends is what its tenants are charged.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.budgets import BUDGETS, EVERYBODY, MONEY
from policy.cost.periods import UNITS, period
from policy.frames import UTC_TIME

_NOTHING: Final = pl.lit(Decimal(0), dtype=MONEY)

# What tenants were charged on a day, by its number, in a row for each team that shares them.
# Unknown amounts are null.
CHARGED: Final = pl.Schema(
    {"number": pl.Int64(), "tenant": pl.String(), "team": pl.String(), "amount": MONEY}
)
# The days: `hours` of it that are priced; what idled in them, null where no bill is known.
DAYS: Final = pl.Schema(
    {
        "number": pl.Int64(),
        "starts": UTC_TIME,
        "ends": UTC_TIME,
        "hours": pl.Int64(),
        "idle": MONEY,
    }
)
# What a scope spent on a day; a day without a row cost it nothing.
SPENDING: Final = pl.Schema(
    {"scope": pl.String(), "name": pl.String(), "number": pl.Int64(), "amount": MONEY}
)
# How a budget stands in the running period. `spent`, `left` and `used` (spent of the budget, 0..1
# and above) are null while no hour of the period is priced or nothing of it has a price. `idle` is
# the part of `spent` that nobody used, null where no bill is known or where it is none of the
# scope's. `passed` is the part of the period that is over, 0..1.
STATUS: Final = pl.Schema(
    {
        **BUDGETS,
        "currency": pl.String(),
        "starts": UTC_TIME,
        "ends": UTC_TIME,
        "spent": MONEY,
        "idle": MONEY,
        "left": MONEY,
        "used": pl.Float64(),
        "passed": pl.Float64(),
        "hours": pl.Int64(),
    }
)
# What a scope spent in the running day or month, whether it has a budget or not.
SO_FAR: Final = pl.Schema(
    {
        "scope": pl.String(),
        "name": pl.String(),
        "unit": pl.String(),
        "currency": pl.String(),
        "amount": MONEY,
    }
)
_KEYS: Final = ("scope", "name")
_SPENT: Final = ("number", "amount")


def spending(charged: pl.DataFrame, *, days: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """SPENDING of the scopes that have a budget.

    Args:
        charged: CHARGED.
        days: DAYS; what idles in them is the scope global's.
        wanted: BUDGETS.
    """
    parts = [
        charged.select(pl.lit("global").alias("scope"), pl.lit(EVERYBODY).alias("name"), *_SPENT),
        days.drop_nulls("idle").select(
            pl.lit("global").alias("scope"),
            pl.lit(EVERYBODY).alias("name"),
            "number",
            pl.col("idle").alias("amount"),
        ),
        charged.select(pl.lit("team").alias("scope"), pl.col("team").alias("name"), *_SPENT),
        charged.select(pl.lit("tenant").alias("scope"), pl.col("tenant").alias("name"), *_SPENT),
    ]
    scopes = wanted.select(_KEYS).unique()
    return (
        pl.concat([part.cast(SPENDING).join(scopes, on=_KEYS, how="semi") for part in parts])
        .group_by(*_KEYS, "number")
        .agg(amount=_known_sum("amount"))
        .select(SPENDING.names())
        .sort(SPENDING.names()[:3])
    )


def status(
    wanted: pl.DataFrame,
    *,
    spent: pl.DataFrame,
    days: pl.DataFrame,
    currency: str,
    now: datetime,
    zone: ZoneInfo,
) -> pl.DataFrame:
    """STATUS of each budget at this moment.

    Args:
        wanted: BUDGETS.
        spent: SPENDING.
        days: DAYS from the beginning of the longest period on.
        currency: of all of it.
        now: aware UTC.
        zone: of days and months.
    """
    running = _running(now=now, zone=zone)
    of_period = _of_period(days, now=now, zone=zone)
    priced = of_period.group_by("unit").agg(
        hours=pl.col("hours").sum(), idle=_known_sum("idle").cast(MONEY)
    )
    sums = (
        spent.join(of_period.select("unit", "number"), on="number")
        .group_by(*_KEYS, "unit")
        .agg(spent=_known_sum("amount").cast(MONEY), known=pl.lit(value=True))
    )
    return (
        wanted.join(running, on="unit")
        .join(priced, on="unit", how="left")
        .join(sums, on=[*_KEYS, "unit"], how="left")
        .with_columns(pl.col("hours").fill_null(0))
        .with_columns(
            spent=pl.when(pl.col("known").is_null() & (pl.col("hours") > 0))
            .then(_NOTHING)
            .otherwise("spent"),
            idle=pl.when(pl.col("scope") == "global").then("idle"),
        )
        .with_columns(
            currency=pl.lit(currency),
            left=pl.col("budget") - pl.col("spent"),
            used=pl.col("spent").cast(pl.Float64) / pl.col("budget").cast(pl.Float64),
            starts="period_starts",
            ends="period_ends",
        )
        .select(STATUS.names())
        .cast(STATUS)
        .sort("used", *_KEYS, "unit", descending=[True, False, False, False], nulls_last=True)
    )


def so_far(
    charged: pl.DataFrame, *, days: pl.DataFrame, currency: str, now: datetime, zone: ZoneInfo
) -> pl.DataFrame:
    """SO_FAR of everybody, every team and every tenant; see `status`."""
    everybody = pl.DataFrame({"scope": ["global"], "name": [EVERYBODY]})
    scopes = [everybody] + [
        charged.select(pl.lit(scope).alias("scope"), pl.col(scope).alias("name"))
        for scope in ("team", "tenant")
    ]
    spent = spending(charged, days=days, wanted=pl.concat(scopes))
    return (
        spent.join(_of_period(days, now=now, zone=zone).select("unit", "number"), on="number")
        .filter(pl.col("unit").is_in(["day", "month"]))
        .group_by(*_KEYS, "unit")
        .agg(amount=_known_sum("amount"))
        .with_columns(currency=pl.lit(currency))
        .select(SO_FAR.names())
        .cast(SO_FAR)
        .sort(*_KEYS, "unit")
    )


def _of_period(days: pl.DataFrame, *, now: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """DAYS with the unit of each running period that they are in."""
    return days.join(_running(now=now, zone=zone), how="cross").filter(
        pl.col("starts") >= pl.col("period_starts"), pl.col("starts") < pl.col("period_ends")
    )


def _running(*, now: datetime, zone: ZoneInfo) -> pl.DataFrame:
    """unit, period_starts, period_ends, passed of the periods that the moment is in."""
    found = [(unit, period(unit, at=now, zone=zone)) for unit in UNITS]
    return pl.DataFrame(
        [(unit, each.start, each.end, each.passed(now)) for unit, each in found],
        schema={
            "unit": pl.String(),
            "period_starts": UTC_TIME,
            "period_ends": UTC_TIME,
            "passed": pl.Float64(),
        },
        orient="row",
    )


def _known_sum(column: str) -> pl.Expr:
    """The sum of what is known; null where nothing is."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum())
