"""`mlo diff`: what would be published now and is not in force."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.mimir_version import running_version
from deployments.output import Column, Format, show
from deployments.standing import standing_limits
from policy.plan import Plan, Terms, plan
from policy.room import most_bytes
from policy.settings import Settings
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to
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
    if pending.problems:
        raise typer.Exit(Code.ERROR)
    if not pending.changes.is_empty():
        raise typer.Exit(Code.PENDING)


def _pending(settings: Settings) -> Plan:
    """The plan of this moment, against the version of Mimir where that matters."""
    layers = reading.layers(settings.storage.url)
    observed = reading.observed(settings.storage.url)
    stands = standing_limits(settings)
    catalogue = catalogue_of(settings.limits)

    def planned(version: str | None) -> Plan:
        return plan(
            layers,
            observed=observed,
            standing=stands,
            bounds=bounds_of(settings.limits),
            terms=Terms(
                known=known_to(version, catalogue=catalogue),
                catalogue=catalogue,
                max_bytes=most_bytes(settings.publish),
            ),
            now=datetime.now(UTC),
        )

    found = planned(None)
    # Only a name that some version does not know makes it worth to wait for Mimir's answer.
    return planned(asyncio.run(running_version(settings))) if found.problems else found
