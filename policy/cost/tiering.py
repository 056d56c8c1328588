"""Tenants in a tier that is larger than what they use, or whose limits refuse them.

A tier may be left for a smaller one when every limit that would be lower holds the peak of 30 days
with the buffer of that tier. What was not measured for that long, or was refused in that time, is
no evidence. Only tiers that set the same limits can be compared. Where somebody else's word wins
over the tier's, ours of a measured value among them, the tier cuts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import permutations
from math import inf
from typing import Final

import polars as pl

from policy.catalogue import unlimited_at_zero
from policy.cost.recommendation import SAVINGS, priced, quoted, recommendation
from policy.figures import grouped
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SERIES
from policy.tuned import catalogue_of

TIER: Final = "other tier"
WATCHED_DAYS: Final = 30
LEAST_DAYS: Final = 28  # of them, with a measurement
_PRICED: Final = (INGESTION_RATE, SERIES)

# Each tier that can be left for another: one row per limit. `rank` orders `to` by size, `room` is
# its buffer in percent. What is unlimited is infinite.
MOVES: Final = pl.Schema(
    {
        "tier": pl.String(),
        "to": pl.String(),
        "down": pl.Boolean(),
        "rank": pl.Int64(),
        "limit": pl.String(),
        "now": pl.Float64(),
        "then": pl.Float64(),
        "room": pl.Float64(),
    }
)
# The highest demand of the last days outside of blasts, on how many days it was measured, and
# whether anything was refused for want of the limit.
PEAKS: Final = pl.Schema(
    {
        "tenant": pl.String(),
        "limit": pl.String(),
        "peak": pl.Float64(),
        "days": pl.Int64(),
        "refused": pl.Boolean(),
    }
)


def moves(settings: Settings) -> pl.DataFrame:
    """MOVES between the tiers of the settings, to one that is smaller or larger in every limit."""
    endless = unlimited_at_zero(catalogue_of(settings.limits))
    tiers = settings.limits.tenant_tiers
    sizes = {
        name: {
            limit: inf if value == 0 and limit in endless else float(value)
            for limit, value in tier.limits.items()
        }
        for name, tier in tiers.items()
    }
    by_size = sorted(sizes, key=lambda name: (*_size(sizes[name]), name))
    room = {
        name: settings.buffer_percentage
        if said.buffer_percentage is None
        else said.buffer_percentage
        for name, said in tiers.items()
    }
    rows = [
        (tier, to, down, by_size.index(to), limit, now, sizes[to][limit], room[to])
        for tier, to in permutations(sizes, 2)
        if sizes[tier].keys() == sizes[to].keys() and sizes[tier] != sizes[to]
        for down in (True, False)
        if all(_within(sizes[to], sizes[tier], down=down))
        for limit, now in sizes[tier].items()
    ]
    return pl.DataFrame(rows, schema=MOVES, orient="row")


def tier_changes(
    members: pl.DataFrame,
    *,
    moves: pl.DataFrame,
    peaks: pl.DataFrame,
    standings: pl.DataFrame,
    month_of: Mapping[str, Decimal],
) -> pl.DataFrame:
    """SAVINGS: a row for each limit with a price that the tier of a tenant sets too high or low.

    Args:
        members: tenant, tier (null where it has none).
        moves: MOVES.
        peaks: PEAKS of WATCHED_DAYS.
        standings: STANDINGS, for the limits in force.
        month_of: what a month of one unit of each limit costs.
    """
    if moves.is_empty():
        return SAVINGS.to_frame()
    changed = pl.col("then") != pl.col("now")
    holds = pl.col("peak") * (1 + pl.col("room") / 100) <= pl.col("then")
    proven = (holds & (pl.col("days") >= LEAST_DAYS) & ~pl.col("refused")).fill_null(value=False)
    rows = members.join(moves, on="tier").join(peaks, on=["tenant", "limit"], how="left")
    options = rows.group_by("tenant", "to", "down", "rank").agg(
        smaller=(~changed | proven).all(),
        larger=(pl.col("refused").fill_null(value=False) & changed).any()
        & holds.fill_null(value=True).all(),
    )
    chosen = (
        options.filter(pl.when("down").then("smaller").otherwise("larger"))
        .sort("tenant", "down", "rank")
        .unique("tenant", keep="first", maintain_order=True)
        .select("tenant", "to")
    )
    in_force = standings.filter(pl.col("limit").is_in(_PRICED)).select("tenant", "limit", "value")
    told = (
        rows.join(chosen, on=["tenant", "to"])
        .filter(changed, pl.col("then").is_finite())
        .join(in_force, on=["tenant", "limit"])
        .filter(pl.col("value") == pl.col("now"))
    )
    return recommendation(
        told,
        kind=TIER,
        exposure=priced(pl.col("value") - pl.col("then"), month_of),
        because=pl.when("down")
        .then(
            pl.format(
                "tier {} allows {}, which holds its peak of 30 days, {}, with {} %; it is in {}",
                "to",
                grouped(pl.col("then")),
                grouped(pl.col("peak")),
                grouped(pl.col("room")),
                "tier",
            )
        )
        .otherwise(
            pl.format(
                "its tier {} refused it in the last 30 days; tier {} allows {}",
                "tier",
                "to",
                grouped(pl.col("then")),
            )
        ),
        command=pl.concat_str(
            pl.lit("tenantTierMapping: {"), _exactly(), pl.lit(": "), quoted("to"), pl.lit("}")
        ),
        value=pl.col("value"),
        target=pl.col("then"),
    )


def _size(limits: Mapping[str, float]) -> tuple[float, ...]:
    first = [limits.get(limit, inf) for limit in _PRICED]
    return (*first, *(limits[limit] for limit in sorted(limits)))


def _within(to: Mapping[str, float], tier: Mapping[str, float], *, down: bool) -> list[bool]:
    return [to[name] <= tier[name] if down else to[name] >= tier[name] for name in tier]


def _exactly() -> pl.Expr:
    """A pattern that only this tenant's name matches."""
    pattern = pl.col("tenant").str.replace_all(r"([*?\[])", "[$1]")
    return pl.concat_str(pl.lit("'"), pattern.str.replace_all("'", "''", literal=True), pl.lit("'"))
