"""`mlo savings`: what could be saved, with what to do for it."""

from __future__ import annotations

from typing import Final

import polars as pl

from deployments.commands.cost import money
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from storage.savings import read_savings

COLUMNS: Final = (
    Column(name="kind", heading="kind"),
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit", missing=""),
    Column(name="exposure", heading="exposure cut"),
    Column(name="avoided", heading="avoided"),
    Column(name="realised", heading="realised"),
    Column(name="because", heading="why", wraps=True),
    Column(name="command", heading="do", wraps=True),
)


def savings(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Say what could be saved by the newest run of `cost`, what cuts most exposure first.

    Amounts are of a month. A lower limit cuts what the bill could become, not what it is.
    """
    found = read_savings(settings_of(config).storage.url)
    amounts = pl.col("exposure", "avoided", "realised").map_elements(
        money, return_dtype=pl.String(), skip_nulls=True
    )
    show(found, form=output, columns=COLUMNS, table=found.with_columns(amounts))
    if found.is_empty():
        say("nothing is recommended, or the flow `cost` has not run yet")
    else:
        say(f"{found.height} recommendations, in {found['currency'][0]} a month")
