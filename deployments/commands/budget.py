"""`mlo budget`: what is spent and left of each budget, and what its period will come to."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import polars as pl
import typer

from deployments.commands.cost import money
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from storage.budgets import read_budgets


class Scoped(StrEnum):
    """Whose budgets."""

    GLOBAL = "global"
    TEAM = "team"
    TENANT = "tenant"


COLUMNS: Final = (
    Column(name="scope", heading="scope"),
    Column(name="name", heading="name"),
    Column(name="unit", heading="period"),
    Column(name="budget", heading="budget"),
    Column(name="spent", heading="spent"),
    Column(name="left", heading="left"),
    Column(name="share", heading="used"),
    Column(name="time", heading="time over"),
    Column(name="comes_to", heading="comes to"),
    Column(name="likely", heading="exceeds"),
    Column(name="crosses_on", heading="on", missing=""),
    Column(name="bites", heading="", missing=""),
)
ScopeOption = Annotated[
    Scoped | None, typer.Option("--scope", help="Only those of everybody, of teams or of tenants.")
]
OverOption = Annotated[bool, typer.Option("--over", help="Only those that are used up.")]


def budget(
    scope: ScopeOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    over: OverOption = False,
) -> None:
    """Say how each budget stands by the newest run of `cost`, the one with the least left first."""
    settings = settings_of(config)
    zone = ZoneInfo(settings.cost_control.time_zone)
    stands = read_budgets(settings.storage.url)
    found = stands.filter(
        pl.lit(value=True) if scope is None else pl.col("scope") == scope.value,
        (pl.col("used") >= 1).fill_null(value=False) if over else pl.lit(value=True),
    )
    show(found, form=output, columns=COLUMNS, table=_told(found))
    if stands.is_empty():
        say("no budget stands: costControl has none, or the flow `cost` has not run yet")
        return
    at, currency = stands["at"][0].astimezone(zone), stands["currency"][0]
    say(f"{found.height} budgets in {currency}, as of {at:%Y-%m-%d %H:%M} {zone}")


def _told(found: pl.DataFrame) -> pl.DataFrame:
    """Amounts, shares and days in words."""
    amounts = pl.col("budget", "spent", "left").map_elements(
        money, return_dtype=pl.String(), skip_nulls=True
    )
    likely = (pl.col("over_probability") * 100).round(0).cast(pl.Int64)
    return found.with_columns(
        amounts,
        share=_percent("used"),
        time=_percent("passed"),
        comes_to=pl.when(pl.col("p50").is_not_null()).then(
            pl.format("{} ({} to {})", *(_about(name) for name in ("p50", "p10", "p90")))
        ),
        likely=pl.when(likely.is_not_null()).then(pl.format("{} %", likely)),
        crosses_on=pl.col("crosses_on").dt.strftime("%Y-%m-%d"),
        bites=pl.when("enforced").then(pl.lit("enforced")),
    )


def _percent(column: str) -> pl.Expr:
    share = (pl.col(column) * 100).round(1)
    return pl.when(share.is_not_null()).then(pl.format("{} %", share))


def _about(column: str) -> pl.Expr:
    return (
        pl.col(column)
        .cast(pl.Decimal(38, 9))
        .map_elements(money, return_dtype=pl.String(), skip_nulls=True)
    )
