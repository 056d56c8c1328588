"""`mlo drill`: what protection would do to a tenant in a blast, rehearsed and never done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown
from policy.drill import Kind, Rehearsal
from policy.drill_words import clock, figures_of
from policy.settings import parse_duration
from storage import reading
from storage.client import query
from tasks.rehearse import rehearse_blast

COLUMNS: Final = (
    Column(name="clock", heading="after"),
    Column(name="words", heading="what happens", wraps=True),
)
TIMELINE: Final = pl.Schema(
    {"after_seconds": pl.Float64(), "kind": pl.String(), "words": pl.String()}
)

TenantOption = Annotated[
    str, typer.Option("--tenant", metavar="TENANT", help="Whose usual demand and limits.")
]
FactorOption = Annotated[
    float, typer.Option("--factor", help="How many times its usual it asks for.")
]
KindOption = Annotated[
    Kind,
    typer.Option(
        "--kind", help="Of what: samples, or series that are so many times as many in five minutes."
    ),
]
ForOption = Annotated[
    str, typer.Option("--for", metavar="LENGTH", help="How long the blast lasts, like 5m.")
]


def drill(
    tenant: TenantOption,
    factor: FactorOption = 10.0,
    lasting: ForOption = "5m",
    kind: KindOption = "samples",
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show what protection would do to a tenant in a blast; nothing is changed.

    It is rehearsed in memory, on the tenant's usual demand and the limits it has, with the code
    that decides in production: also in a dry run, and beside a process that runs.
    """
    try:
        lasts = parse_duration(lasting)
    except ValueError as refusal:
        raise typer.BadParameter(str(refusal), param_hint="--for") from refusal
    settings = settings_of(config)
    url = settings.storage.url
    refuse_unknown(tenant, known=reading.known_tenants(url))
    found = rehearse_blast(
        partial(query, url),
        settings=settings,
        tenant=tenant,
        factor=factor,
        lasts=lasts,
        now=datetime.now(UTC),
        kind=kind,
    )
    timeline = timeline_of(found)
    shown = timeline.with_columns(
        clock=pl.col("after_seconds").map_elements(
            lambda seconds: clock(timedelta(seconds=seconds)), return_dtype=pl.String
        )
    )
    show(timeline, form=output, columns=COLUMNS, table=shown)
    for what, figure in figures_of(found):
        say(f"{what}: {figure}")


def timeline_of(found: Rehearsal) -> pl.DataFrame:
    """One row per event."""
    rows = [(event.after.total_seconds(), event.kind, event.words) for event in found.timeline]
    return pl.DataFrame(rows, schema=TIMELINE, orient="row")
