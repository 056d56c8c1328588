"""`mlo whatif`: what would be recommended if a tenant asked for more, or for less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown
from policy.backtest_policy import candidate_of
from policy.errors import ConfigError
from policy.settings import Settings
from policy.signals import INGESTION_RATE, SAMPLES_PER_REQUEST, SERIES
from policy.tuned import tuned
from policy.whatif import imagine
from storage import reading
from storage.backtests import hours, limits_at
from storage.client import query

COLUMNS: Final = (
    Column(name="limit", heading="limit"),
    Column(name="factor", heading="demand x"),
    Column(name="before", heading="now"),
    Column(name="as_it_is", heading="as it is"),
    Column(name="imagined", heading="imagined"),
    Column(name="why", heading="why", missing="", wraps=True),
)

STEPS: Final = pl.List(
    pl.Struct(
        {
            "name": pl.String(),
            "before": pl.Float64(),
            "after": pl.Float64(),
            "because": pl.String(),
        }
    )
)

TenantOption = Annotated[
    str, typer.Option("--tenant", metavar="TENANT", help="Whose demand is imagined.")
]
SeriesOption = Annotated[
    str | None,
    typer.Option("--series", metavar="CHANGE", help="More or fewer series: +30%, -20%."),
]
RateOption = Annotated[
    str | None,
    typer.Option("--rate", metavar="CHANGE", help="More or fewer samples/s: +30%, -20%."),
]
LimitOption = Annotated[
    str | None,
    typer.Option("--limit", metavar="NAME", help="The demand on this limit, by --factor."),
]
FactorOption = Annotated[
    float | None, typer.Option("--factor", min=0.0, help="What that demand is multiplied with.")
]


def whatif(
    tenant: TenantOption,
    series: SeriesOption = None,
    rate: RateOption = None,
    limit: LimitOption = None,
    factor: FactorOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show what would be recommended if a tenant had asked for more all the time, or for less.

    Where the limits would come to rest: steps, cool-downs and the run budget hold nothing back.
    """
    settings = settings_of(config)
    url = settings.storage.url
    refuse_unknown(tenant, known=reading.known_tenants(url))
    factors = _factors(series=series, rate=rate, limit=limit, factor=factor)
    sized = tuned(settings.limits)
    if strange := sorted(set(factors) - set(sized)):
        raise ConfigError(f"{', '.join(strange)} is not sized; sized are {', '.join(sized)}")
    named = pl.Series([tenant])
    ask = partial(query, url)
    found = imagine(
        _past(settings, tenant=tenant, sized=sized),
        current=limits_at(ask, tenants=named, limits=sized, at=datetime.now(UTC)),
        factors=factors,
        candidate=candidate_of(
            settings,
            name="live",
            tenants=named,
            limits=sized,
            every=settings.update_interval,
        ),
    )
    if found.is_empty():
        say(f"nothing is measured of {tenant} yet")
    show(_with_steps(found), form=output, columns=COLUMNS, table=found)


def _factors(
    *, series: str | None, rate: str | None, limit: str | None, factor: float | None
) -> dict[str, float]:
    """What the demand on each limit is multiplied with."""
    if (limit is None) != (factor is None):
        raise typer.BadParameter("--limit and --factor go together")
    found: dict[str, float] = {}
    if series is not None:
        found[SERIES] = _change(series)
    if rate is not None:
        found[INGESTION_RATE] = _change(rate)
    if limit is not None and factor is not None:
        found[limit] = factor
    if not found:
        raise typer.BadParameter("say what is imagined: --series, --rate, or --limit with --factor")
    return found


def _change(text: str) -> float:
    """`+30%` as 1.3."""
    match = re.fullmatch(r"([+-]\d+(?:\.\d+)?)\s*%", text.strip())
    change = float(match.group(1)) if match else -100.0
    if change <= -100:  # noqa: PLR2004 - it is a percentage
        raise typer.BadParameter(f"{text!r} is no change of demand; write it like +30% or -20%")
    return 1 + change / 100


def _past(settings: Settings, *, tenant: str, sized: Mapping[str, str]) -> pl.DataFrame:
    """HOURS of the tenant, as far back as an estimate looks."""
    now = datetime.now(UTC)
    return hours(
        partial(query, settings.storage.url),
        limits={**sized, SAMPLES_PER_REQUEST: SAMPLES_PER_REQUEST},
        tenants=[tenant],
        since=now - settings.trend_analysis.analysis_window,
        until=now,
    )


def _with_steps(found: pl.DataFrame) -> pl.DataFrame:
    """For programs: the steps as data."""
    return found.with_columns(pl.col("steps").str.json_decode(STEPS))
