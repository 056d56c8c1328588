"""`mlo tenants`: what every tenant asks for, what it may, and how near it is to that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown_limit
from policy.activity import states
from policy.catalogue import unlimited_at_zero
from policy.effective import beneath, overlaid
from policy.figures import grouped
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES
from policy.tenancy import tiers
from policy.tuned import catalogue_of, tuned
from storage import reading

HEADINGS: Final = {
    INGESTION_RATE: "samples/s",
    INGESTION_BURST_SIZE: "burst",
    SERIES: "series",
}
FIRST: Final = ("tenant", "tier", "state", "used_percent", "used_of", "last_seen")
LEAST_FRESH: Final = timedelta(minutes=5)
INTERVALS_FRESH: Final = 3

LimitsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="LIMIT", help="These limits, rather than rate, burst and series."
    ),
]


def tenants(
    limit: LimitsOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the tenants: demand and limit, the fullest first."""
    settings = settings_of(config)
    url = settings.storage.url
    limits = tuple(dict.fromkeys(limit or HEADINGS))
    catalogue = catalogue_of(settings.limits)
    for name in limits:
        refuse_unknown_limit(name, known=catalogue)
    signals = {name: tuned(settings.limits).get(name, name) for name in limits}
    seen, scoping = reading.activity(url), settings.tenant_scoping
    if seen.is_empty():
        say("no tenant was seen yet; `mlo up` looks every protectInterval")
    own = beneath(reading.observed(url), tenants=seen["tenant"], limits=limits)
    found = used(
        reading.demand(url),
        signals=signals,
        in_force=overlaid(own, above=reading.in_force(url)),
        activity=seen.select("tenant", "last_seen").join(
            states(seen, inactive_after=scoping.inactive_after, gone_after=scoping.gone_after),
            on="tenant",
        ),
        settings=settings,
        fresh_since=datetime.now(UTC)
        - max(LEAST_FRESH, INTERVALS_FRESH * settings.protect_interval),
    )
    endless = unlimited_at_zero(catalogue)
    show(
        found,
        form=output,
        columns=_columns(settings, limits=limits),
        table=_told(found, limits=limits, endless=endless),
    )


def used(
    demand: pl.DataFrame,
    *,
    signals: Mapping[str, str],
    in_force: pl.DataFrame,
    activity: pl.DataFrame,
    settings: Settings,
    fresh_since: datetime,
) -> pl.DataFrame:
    """One row per tenant, the one that is nearest to a limit first.

    Args:
        demand: `storage.reading.DEMAND`.
        signals: the limits to tell of, each with the signal that its demand is read from.
        in_force: LIMITS.
        activity: tenant, last_seen, state.
        settings: for the tier of each tenant, and for which limits 0 means unlimited.
        fresh_since: older demand is not the demand now, and null.

    Returns:
        tenant, tier, state, used_percent (the highest), used_of (of which limit), last_seen, and
        of each limit `…_demand`, `…_limit` and `…_used_percent`.
    """
    asked = demand.filter(pl.col("demand_at") >= fresh_since)
    endless = unlimited_at_zero(catalogue_of(settings.limits))
    found = tiers(activity["tenant"], mapping=settings.tenant_tier_mapping).join(
        activity, on="tenant"
    )
    for limit, signal in signals.items():
        bounded = pl.col("value") > 0 if limit in endless else pl.col("value") >= 0
        percent = (pl.col("demand") / pl.col("value") * 100).round(2)
        of_limit = (
            found.select("tenant")
            .join(asked.filter(signal=signal), on="tenant", how="left")
            .join(in_force.filter(limit=limit), on="tenant", how="left")
            .select(
                "tenant",
                pl.col("demand").alias(f"{limit}_demand"),
                pl.col("value").alias(f"{limit}_limit"),
                pl.when(bounded & percent.is_finite()).then(percent).alias(f"{limit}_used_percent"),
            )
        )
        found = found.join(of_limit, on="tenant", how="left")
    names = list(signals)
    shares = pl.concat_list(f"{name}_used_percent" for name in names)
    return (
        found.with_columns(used_percent=pl.max_horizontal(f"{name}_used_percent" for name in names))
        .with_columns(
            used_of=pl.when(pl.col("used_percent").is_not_null()).then(
                shares.list.arg_max().replace_strict(
                    dict(enumerate(names)), default=None, return_dtype=pl.String
                )
            )
        )
        .select(*FIRST, pl.selectors.exclude(*FIRST))
        .sort("used_percent", "tenant", descending=[True, False], nulls_last=True)
    )


def _columns(settings: Settings, *, limits: Sequence[str]) -> list[Column]:
    tier = (
        [Column(name="tier", heading="tier", missing="-")] if settings.tenant_tier_mapping else []
    )
    return [
        Column(name="tenant", heading="tenant"),
        *tier,
        Column(name="state", heading="state"),
        Column(name="used", heading="used"),
        *(Column(name=limit, heading=HEADINGS.get(limit, limit)) for limit in limits),
        Column(name="last_seen", heading="last seen (UTC)"),
    ]


def _told(found: pl.DataFrame, *, limits: Sequence[str], endless: Collection[str]) -> pl.DataFrame:
    """The demand beside the limit, as in `10,310 of 13,000`."""
    percent = pl.col("used_percent").round(0)
    headings = {limit: HEADINGS.get(limit, limit) for limit in limits}
    of = pl.col("used_of").replace_strict(headings, default=None, return_dtype=pl.String)
    return found.with_columns(
        pl.when(percent.is_not_null())
        .then(pl.concat_str(grouped(percent), pl.lit(" % of "), of))
        .alias("used"),
        *(
            pl.concat_str(
                grouped(pl.col(f"{limit}_demand")),
                pl.lit(" of "),
                _may(limit, without_end=limit in endless),
            ).alias(limit)
            for limit in limits
        ),
    )


def _may(limit: str, *, without_end: bool) -> pl.Expr:
    value = pl.col(f"{limit}_limit")
    if not without_end:
        return grouped(value)
    return pl.when(value == 0).then(pl.lit("unlimited")).otherwise(grouped(value))
