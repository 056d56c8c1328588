"""`mlo tenants`: what every tenant asks for, what it may, and how near it is to that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.activity import states
from policy.catalogue import unlimited_at_zero
from policy.figures import grouped
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES
from policy.tenancy import tiers
from storage import reading

HEADINGS: Final = {
    INGESTION_RATE: "samples/s",
    INGESTION_BURST_SIZE: "burst",
    SERIES: "series",
}
FIRST: Final = ("tenant", "tier", "state", "used_percent", "used_of", "last_seen")
LEAST_FRESH: Final = timedelta(minutes=5)
INTERVALS_FRESH: Final = 3


def tenants(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List the tenants: demand and limit, the fullest first."""
    settings = settings_of(config)
    fresh = max(LEAST_FRESH, INTERVALS_FRESH * settings.protect_interval)
    demand = reading.demand(settings.storage.url)
    if demand.is_empty():
        say("no tenant was seen yet; `mlo up` looks every protectInterval")
    scoping = settings.tenant_scoping
    activity = states(
        reading.activity(settings.storage.url),
        inactive_after=scoping.inactive_after,
        gone_after=scoping.gone_after,
    )
    found = used(
        demand, activity=activity, settings=settings, fresh_since=datetime.now(UTC) - fresh
    )
    show(found, form=output, columns=_columns(settings), table=_told(found))


def used(
    demand: pl.DataFrame, *, activity: pl.DataFrame, settings: Settings, fresh_since: datetime
) -> pl.DataFrame:
    """One row per tenant, the one that is nearest to a limit first.

    Args:
        demand: `storage.reading.DEMAND`.
        activity: STATES of the tenants.
        settings: for the tier of each tenant.
        fresh_since: older demand is not the demand now, and null.

    Returns:
        tenant, tier, state, used_percent (the highest), used_of (of which limit), last_seen, and
        of each sized limit `…_demand`, `…_limit` and `…_used_percent`.
    """
    unlimited = pl.col("limit").is_in(list(unlimited_at_zero())) & (pl.col("value") == 0)
    now = pl.when(pl.col("demand_at") >= fresh_since).then("demand")
    rows = demand.with_columns(
        demand=now,
        used_percent=pl.when(~unlimited & (pl.col("value") > 0)).then(
            (now / pl.col("value") * 100).round(2)
        ),
    )
    of_limits = [
        rows.filter(limit=limit).select(
            "tenant",
            pl.col("demand").alias(f"{limit}_demand"),
            pl.col("value").alias(f"{limit}_limit"),
            pl.col("used_percent").alias(f"{limit}_used_percent"),
        )
        for limit in HEADINGS
    ]
    fullest = rows.group_by("tenant").agg(
        pl.col("last_seen").max(),
        used_of=pl.col("limit").sort_by("used_percent", nulls_last=True, descending=True).first(),
        used_percent=pl.col("used_percent").max(),
    )
    found = tiers(fullest.get_column("tenant"), mapping=settings.tenant_tier_mapping).join(
        fullest, on="tenant"
    )
    found = found.join(activity, on="tenant", how="left")
    for of_limit in of_limits:
        found = found.join(of_limit, on="tenant", how="left")
    known = pl.col("used_percent").is_not_null()
    return (
        found.with_columns(used_of=pl.when(known).then("used_of"))
        .select(
            *FIRST,
            pl.selectors.exclude(*FIRST),
        )
        .sort("used_percent", "tenant", descending=[True, False], nulls_last=True)
    )


def _columns(settings: Settings) -> list[Column]:
    tier = (
        [Column(name="tier", heading="tier", missing="-")] if settings.tenant_tier_mapping else []
    )
    return [
        Column(name="tenant", heading="tenant"),
        *tier,
        Column(name="state", heading="state"),
        Column(name="used", heading="used"),
        *(Column(name=limit, heading=heading) for limit, heading in HEADINGS.items()),
        Column(name="last_seen", heading="last seen (UTC)"),
    ]


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """The demand beside the limit, as in `10,310 of 13,000`."""
    percent = pl.col("used_percent").round(0)
    of = pl.col("used_of").replace_strict(HEADINGS, default=None, return_dtype=pl.String)
    return found.with_columns(
        pl.when(percent.is_not_null())
        .then(pl.concat_str(grouped(percent), pl.lit(" % of "), of))
        .alias("used"),
        *(
            pl.concat_str(grouped(pl.col(f"{limit}_demand")), pl.lit(" of "), _may(limit)).alias(
                limit
            )
            for limit in HEADINGS
        ),
    )


def _may(limit: str) -> pl.Expr:
    value = pl.col(f"{limit}_limit")
    if limit not in unlimited_at_zero():
        return grouped(value)
    return pl.when(value == 0).then(pl.lit("unlimited")).otherwise(grouped(value))
