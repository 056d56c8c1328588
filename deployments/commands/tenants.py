"""`mlo tenants`: what every tenant asks for, what it may, and how near it is to that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.fleet import tenants_now
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown_limit
from policy.catalogue import unlimited_at_zero
from policy.figures import grouped
from policy.settings import Settings
from policy.signals import INGESTION_BURST_SIZE, INGESTION_RATE, SERIES
from policy.tuned import catalogue_of

HEADINGS: Final = {
    INGESTION_RATE: "samples/s",
    INGESTION_BURST_SIZE: "burst",
    SERIES: "series",
}

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
    found = tenants_now(settings, where=url, limits=limits, now=datetime.now(UTC))
    if found.is_empty():
        say("no tenant was seen yet; `mlo up` looks every protectInterval")
    endless = unlimited_at_zero(catalogue)
    show(
        found,
        form=output,
        columns=_columns(settings, limits=limits),
        table=_told(found, limits=limits, endless=endless),
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
