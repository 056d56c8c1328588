"""`mlo diff`: what would be published now and is not in force."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.planning import planned
from deployments.standing import standing_limits
from policy.plan import Plan
from policy.settings import Settings
from storage import reading

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
    pending = _pending(settings)
    if pending.changes.is_empty():
        say("nothing is pending: what the layers say is in force")
    show(pending.changes, form=output, columns=COLUMNS)
    for problem in pending.problems:
        say(f"error: it would not be published: {problem}")
    if not pending.changes.is_empty() and (why := _paused(settings)):
        say(f"it waits: {why}")
    if pending.problems:
        raise typer.Exit(Code.ERROR)
    if not pending.changes.is_empty():
        raise typer.Exit(Code.PENDING)


def _pending(settings: Settings) -> Plan:
    url = settings.storage.url
    return planned(
        settings,
        layers=reading.layers(url),
        holds=reading.holds(url),
        stands=standing_limits(settings),
        now=datetime.now(UTC),
    )


def _paused(settings: Settings) -> str | None:
    if settings.publish.paused:
        return "publish.paused is true"
    return reading.pause(settings.storage.url)
