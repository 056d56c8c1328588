"""`mlo diff`: what would be published now and is not in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.fleet import paused, pending
from deployments.output import Column, Format, show

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="before", heading="now"),
    Column(name="after", heading="would be", missing="as without us"),
    Column(name="decided_by", heading="by", missing="-"),
    Column(name="reason", heading="why", missing="", wraps=True),
)


def diff(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Show what would be published now; exit code 3 if anything."""
    settings = settings_of(config)
    url = settings.storage.url
    plan = pending(settings, where=url, now=datetime.now(UTC))
    if plan.changes.is_empty():
        say("nothing is pending: what the layers say is in force")
    show(plan.changes, form=output, columns=COLUMNS)
    for problem in plan.problems:
        say(f"error: it would not be published: {problem}")
    if not plan.changes.is_empty() and (why := paused(settings, where=url)):
        say(f"it waits: {why}")
    if plan.problems:
        raise typer.Exit(Code.ERROR)
    if not plan.changes.is_empty():
        raise typer.Exit(Code.PENDING)
