"""`mlo cardinality`: which metrics of a tenant have the most series."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.figures import figure

MOST_METRICS: Final = 500  # that Mimir tells at once, unless it is told otherwise
COLUMNS: Final = (
    Column(name="metric", heading="metric"),
    Column(name="series", heading="series"),
    Column(name="limit", heading="limit"),
    Column(name="used_percent", heading="used %", missing="-"),
)

Whose = Annotated[str, typer.Argument(metavar="TENANT", help="Whose metrics.")]
LimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=MOST_METRICS, help="How many metrics.")
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url", help="A querier, query-frontend or gateway; else every process is asked."
    ),
]


def cardinality_of(
    tenant: Whose,
    limit: LimitOption = 20,
    url: UrlOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show the metrics of a tenant with the most series.

    Mimir counts them now, in the memory of its ingesters; that costs it a query.
    """
    from deployments.cardinality import against, ask  # noqa: PLC0415 - slow to import

    settings = settings_of(config)
    found, allowed = asyncio.run(ask(settings, tenant=tenant, limit=limit, url=url))
    say(f"{tenant} has {figure(found.series)} series")
    if found.metrics is None:
        say("how many each metric has is not told here: ask a querier of Mimir, with --url")
        return
    show(against(found.metrics, allowed=allowed), form=output, columns=COLUMNS)
