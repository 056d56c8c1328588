"""`mlo query-log`: what the queries of each tenant used of its per-query limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from storage.hand_in import hand_in_samples
from tasks.query_log import read_query_log

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="queries", heading="queries"),
    Column(name="p50", heading="p50"),
    Column(name="p95", heading="p95"),
    Column(name="p99", heading="p99"),
    Column(name="max", heading="max"),
)

LogArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The log; may be gzipped.")]
RecordOption = Annotated[
    bool, typer.Option("--record", help="Add the peaks to the history as demand on these limits.")
]


def query_log(
    file: LogArgument,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    record: RecordOption = False,
) -> None:
    """Show what queries used of the per-query limits, from the query-frontend's log.

    Quantiles are within 1 %, the maximum is exact. Lengths are in seconds. A query that was split
    or sharded counts with the sum of its parts: an upper bound.
    """
    found = read_query_log(file)
    broken = f", {found.broken} are broken and were passed over" if found.broken else ""
    say(f"{found.queries} of {found.lines} lines tell of a query{broken}")
    if record:
        hand_in_samples(settings_of(config).storage.url, found.peaks)
        say(f"{found.peaks.height} peaks recorded, one per tenant, limit and five minutes")
    show(found.usage, form=output, columns=COLUMNS)
