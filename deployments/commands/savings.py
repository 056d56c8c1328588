"""`mlo savings`: what could be saved, with what to do for it."""

from __future__ import annotations

from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.cost import money
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.figures import grouped
from storage.savings import read_realised, read_savings

COLUMNS: Final = (
    Column(name="kind", heading="kind"),
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit", missing=""),
    Column(name="exposure", heading="exposure cut"),
    Column(name="avoided", heading="avoided"),
    Column(name="because", heading="why", wraps=True),
    Column(name="command", heading="do", wraps=True),
)


FOLLOWED: Final = (
    Column(name="since", heading="since"),
    Column(name="kind", heading="kind"),
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit", missing=""),
    Column(name="value", heading="was"),
    Column(name="reached", heading="is", missing="-"),
    Column(name="exposure", heading="exposure cut"),
    Column(name="spend", heading="saved"),
)

RealisedOption = Annotated[
    bool, typer.Option("--realised", help="What was recommended, and was followed.")
]


def savings(
    *,
    realised: RealisedOption = False,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what could be saved by the newest run of `cost`, what cuts most exposure first.

    Amounts are of a month. A lower limit cuts what the bill could become, not what it is.
    """
    url = settings_of(config).storage.url
    if realised:
        _followed(url, form=output)
        return
    found = read_savings(url)
    show(found, form=output, columns=COLUMNS, table=_told(found, "exposure", "avoided"))
    if found.is_empty():
        say("nothing is recommended, or the flow `cost` has not run yet")
    else:
        say(f"{found.height} recommendations, in {found['currency'][0]} a month")
    if count := read_realised(url).height:
        say(f"{count} were followed: mlo savings --realised")


def _followed(url: str, *, form: Format) -> None:
    found = read_realised(url)
    figures = [
        pl.when(pl.col(name).is_not_null()).then(grouped(pl.col(name))).alias(name)
        for name in ("value", "reached")
    ]
    table = _told(found, "exposure", "spend").with_columns(
        *figures, pl.col("since").dt.strftime("%Y-%m-%d")
    )
    show(found, form=form, columns=FOLLOWED, table=table)
    if found.is_empty():
        say("nobody has followed a recommendation that stood")
    else:
        say(
            f"{found.height} were followed, in {found['currency'][0]} a month; "
            "what is saved is known once seven whole days are priced"
        )


def _told(found: pl.DataFrame, *amounts: str) -> pl.DataFrame:
    return found.with_columns(
        pl.col(amounts).map_elements(money, return_dtype=pl.String(), skip_nulls=True)
    )
