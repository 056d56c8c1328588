"""What to save besides limits that nobody needs: samples sent twice, old blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

import polars as pl

from policy.cost.budgets import MONEY
from policy.cost.recommendation import (
    NOTHING,
    SAVINGS,
    measured,
    month_price,
    override,
    recommendation,
)
from policy.figures import grouped
from policy.signals import INGESTION_RATE

DUPLICATES, SPARE, RETENTION = "duplicate samples", "spare replicas", "retention"
SENT_TWICE: Final = 0.01
"""Of the samples that are let in, those that another sender had sent already."""
LEAST_TWICE: Final = 10.0  # samples/s
SPARE_SHARE: Final = 0.6
"""Of what comes in, those that are dropped: half of a pair of replicas, two thirds of three."""
LEAST_LOGGED_DAYS: Final = 30
"""Of which queries are known, before anybody may say how far back they reach."""
REACH_MARGIN: Final = 1.5
WORTH_IT: Final = 0.5
"""Of what is kept now, the most that a shorter retention may keep to be worth telling."""
_KEEPS: Final = "compactor_blocks_retention_period"
_NO_LIMIT: Final = pl.lit(None, dtype=pl.String)
_DAY: Final = timedelta(days=1)
_MONTH_DAYS: Final = 30

# Means of the last week, samples/s: `refused` of what was `received`, because they were sent
# already, and `dropped` before as those of a replica that is not elected.
TWICE: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "refused": pl.Float64(),
        "received": pl.Float64(),
        "dropped": pl.Float64(),
    }
)
# How far back the queries of a tenant reached on the days of which they are known, in seconds, and
# what its blocks cost in the last 30 days; null where that is not known.
REACH: Final = pl.Schema(
    {"tenant": pl.String(), "days": pl.Int64(), "reach": pl.Float64(), "stored": MONEY}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """What the history tells of tenants.

    Attributes:
        twice: TWICE.
        reach: REACH.
        retention: how long blocks are kept; None: nobody has said.
    """

    twice: pl.DataFrame
    reach: pl.DataFrame
    retention: timedelta | None


def duplicates(past: Past, *, month_of: Mapping[str, Decimal]) -> pl.DataFrame:
    """SAVINGS of samples that are sent twice and refused the second time, let in and paid for."""
    rows = past.twice.filter(
        _refused_share() >= SENT_TWICE, pl.col("refused") >= LEAST_TWICE
    ).with_columns(limit=_NO_LIMIT)
    price = month_price(pl.lit(INGESTION_RATE), month_of=month_of)
    return recommendation(
        rows,
        kind=DUPLICATES,
        exposure=NOTHING,
        avoided=(pl.col("refused").cast(MONEY) * price).cast(MONEY),
        because=pl.format(
            "of {} samples/s that are let in {} were sent already: two senders have one name",
            grouped(pl.col("received")),
            grouped(pl.col("refused")),
        ),
        command=override(pl.lit("accept_ha_samples"), pl.lit("true")),
        value=_refused_share(),
        target=pl.lit(SENT_TWICE),
    )


def spare_replicas(past: Past) -> pl.DataFrame:
    """SAVINGS of replicas beyond a pair: no list prices what is dropped before it is let in."""
    rows = past.twice.filter(
        _dropped_share() >= SPARE_SHARE, pl.col("dropped") >= LEAST_TWICE
    ).with_columns(limit=_NO_LIMIT)
    name = pl.col("tenant").str.replace_all("\\", "\\\\", literal=True)
    escaped = name.str.replace_all('"', '\\"', literal=True)
    question = "sum by (cluster) (rate(cortex_distributor_deduped_samples_total{user="
    return recommendation(
        rows,
        kind=SPARE,
        exposure=NOTHING,
        because=pl.format(
            "{} samples/s of replicas are dropped beside {} that are kept: more than two send",
            grouped(pl.col("dropped")),
            grouped(pl.col("received")),
        ),
        command=pl.concat_str(pl.lit(f'{question}"'), escaped, pl.lit('"}[1d]))')),
        value=_dropped_share(),
        target=pl.lit(SPARE_SHARE),
    )


def shorter_retention(past: Past) -> pl.DataFrame:
    """SAVINGS of blocks that are older than any query asks for, by half as much again."""
    if past.retention is None:
        return SAVINGS.to_frame()
    kept = past.retention / _DAY
    months = (pl.col("reach") / _DAY.total_seconds() * REACH_MARGIN / _MONTH_DAYS).ceil()
    days = pl.max_horizontal(months, pl.lit(1.0)) * _MONTH_DAYS
    rows = past.reach.filter(
        pl.col("days") >= LEAST_LOGGED_DAYS, days <= WORTH_IT * kept
    ).with_columns(limit=pl.lit(_KEEPS), to=days)
    rest = (1 - pl.col("to") / kept).cast(MONEY)
    month = Decimal("30.4375") / _MONTH_DAYS
    return recommendation(
        rows,
        kind=RETENTION,
        exposure=NOTHING,
        avoided=(pl.col("stored") * rest * pl.lit(month, dtype=MONEY)).cast(MONEY),
        because=pl.format(
            "blocks are kept for {} days, and no query of {} days reached back further than {}",
            pl.lit(f"{kept:g}"),
            pl.col("days").cast(pl.String),
            grouped((pl.col("reach") / _DAY.total_seconds()).round(1)),
        ),
        command=override(pl.col("limit"), pl.format("{}d", pl.col("to").cast(pl.Int64))),
        value=pl.lit(kept),
        target=pl.col("to"),
    )


def advised_now(past: Past) -> pl.DataFrame:
    """MEASURED: what is now of duplicates and retention."""
    kept = None if past.retention is None else past.retention / _DAY
    return pl.concat(
        [
            measured(DUPLICATES, past.twice.with_columns(limit=_NO_LIMIT, value=_refused_share())),
            measured(SPARE, past.twice.with_columns(limit=_NO_LIMIT, value=_dropped_share())),
            measured(
                RETENTION,
                past.reach.with_columns(limit=pl.lit(_KEEPS), value=pl.lit(kept, dtype=pl.Float64)),
            ),
        ]
    )


def _refused_share() -> pl.Expr:
    return pl.when(pl.col("received") > 0).then(pl.col("refused") / pl.col("received"))


def _dropped_share() -> pl.Expr:
    came = pl.col("received") + pl.col("dropped")
    return pl.when(came > 0).then(pl.col("dropped") / came)
