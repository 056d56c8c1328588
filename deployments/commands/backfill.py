"""`mlo backfill`: usage and costs of the days before `mlo` ran."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from deployments.commands.options import ConfigOption, say, settings_of
from policy.settings import Settings
from storage.client import running_server

SinceOption = Annotated[
    str,
    typer.Option(
        "--since", metavar="WHEN", help="A length like 90d, or the first day: 2026-11-01."
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option("--until", metavar="WHEN", help="The day that is not asked for; else up to now."),
]
StepOption = Annotated[
    str, typer.Option("--step", metavar="LENGTH", help="Only 1h: usage is kept by the hour.")
]
FileOption = Annotated[
    Path | None,
    typer.Option("--from-file", metavar="FILE", help="All of a .csv or .parquet, not Prometheus."),
]
AgainOption = Annotated[bool, typer.Option("--again", help="Also the days that are stored.")]


def backfill(
    since: SinceOption = "90d",
    until: UntilOption = None,
    step: StepOption = "1h",
    from_file: FileOption = None,
    config: ConfigOption = None,
    *,
    again: AgainOption = False,
) -> None:
    """Fetch usage of past days, price it by the prices of each day, and tell what is missing.

    It comes from promql.url, by whole UTC days, and goes on where it stopped. While `mlo up` runs,
    that process does it, as the flow `backfill`, and this command follows.
    """
    settings = settings_of(config)
    owned = _owned(settings)
    if owned and not settings.storage.url.startswith("quack:"):
        # Prefect reads its settings when it is imported.
        os.environ.setdefault("PREFECT_API_URL", f"http://127.0.0.1:{settings.prefect.port}/api")
    from deployments.backfilling import (  # noqa: PLC0415 - imports Prefect
        Asked,
        backfill_here,
        backfill_there,
        outcome_lines,
    )
    from deployments.bar import Bar  # noqa: PLC0415 - other commands need not wait for it

    file = None if from_file is None else str(from_file.absolute())
    asked = Asked(since=since, until=until, step=step, again=again, file=file)
    work = backfill_there if owned else backfill_here
    with Bar("days") as bar:
        outcome = work(settings, asked=asked, bar=bar)
    for line in outcome_lines(outcome, zone=ZoneInfo(settings.cost_control.time_zone)):
        say(line)


def _owned(settings: Settings) -> bool:
    """Whether another process owns the history."""
    url = settings.storage.url
    return url.startswith("quack:") or running_server(Path(url).absolute()) is not None
