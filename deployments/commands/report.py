"""`mlo report`: the history as one HTML file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deployments.commands.options import ConfigOption, say, settings_of
from tasks.report import DAYS, MOST_DAYS, make_report, report_file

FileOption = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Where to; else report.html beside the history."),
]
DaysOption = Annotated[
    int, typer.Option("--days", metavar="N", min=1, max=MOST_DAYS, help="How far back.")
]


def report(output: FileOption = None, days: DaysOption = DAYS, config: ConfigOption = None) -> None:
    """Write one HTML file that says how the fleet stands: risk, usage, blasts, cost, advice.

    It needs no network. The flow `report` writes the same every day.
    """
    settings = settings_of(config)
    url = settings.storage.url
    path = report_file(url) if output is None else output
    found = make_report(settings, where=url, days=days, path=path, clock=lambda: datetime.now(UTC))
    say(f"{found.tenants.height:,} tenants in {path}")
