"""`mlo emergency`: the level, what set it off, what is capped by how much, and the way back."""

from __future__ import annotations

from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.emergency.caps import LAYER
from policy.emergency.rules import terms_of
from policy.emergency.state import State, from_json
from policy.emergency.words import capped_words, listed
from policy.settings import Settings
from storage import reading

COLUMNS: Final = (
    Column(name="kind", heading=""),
    Column(name="what", heading="what"),
    Column(name="since", heading="since (UTC)", missing=""),
    Column(name="due", heading="due (UTC)", missing=""),
    Column(name="told", heading="why", wraps=True),
)
CAPS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="base", heading="was"),
    Column(name="value", heading="capped at"),
    Column(name="reason", heading="why", wraps=True),
)

CapsOption = Annotated[bool, typer.Option("--caps", help="The capped limits, one by one, instead.")]


def emergency(
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    caps: CapsOption = False,
) -> None:
    """Tell the emergency level: since when, by which readings, what is done, when the next step is.

    A reading acts at the time it is due, if it stays over its threshold; so does a step back to
    normal, if everything stays healthy. Of a dry run it is what would be.
    """
    settings = settings_of(config)
    stored = reading.emergency(settings.storage.url)
    state = State() if stored is None else from_json(stored)
    capped = reading.layers(settings.storage.url).filter(layer=LAYER)
    if caps:
        show(_told(capped), form=output, columns=CAPS)
    else:
        terms = terms_of(settings.emergency, look_every=settings.protect_interval)
        show(listed(state, terms=terms), form=output, columns=COLUMNS)
    say(_summary(state, capped=capped, settings=settings))


def _told(capped: pl.DataFrame) -> pl.DataFrame:
    base = pl.col("evidence").str.json_path_match("$.base").cast(pl.Float64, strict=False)
    return capped.select("tenant", "limit", base.alias("base"), "value", "reason").sort(
        "tenant", "limit"
    )


def _summary(state: State, *, capped: pl.DataFrame, settings: Settings) -> str:
    """`level panic, capped: 12 limits of 4 tenants`."""
    if not settings.emergency.enabled:
        return "emergency.enabled is false: nothing is watched"
    if not state.is_emergency:
        return f"level {state.level}: nothing is capped"
    if settings.mode != "prod":
        return f"level {state.level}, in a dry run: nothing is capped"
    return f"level {state.level}, capped: {capped_words(capped)}"
