"""`mlo snapshot` and `mlo restore`: a copy of the history, and a copy in its place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from deployments.commands.options import ConfigOption, say, settings_of
from deployments.commands.pins import ByOption, WhyOption
from deployments.pinning import login_name
from policy.pinnable import spoken
from storage.copying import copy_history
from storage.restoring import Restored
from storage.restoring import restore as put_in_place
from storage.whole_copy import in_units

TargetOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The copy, replaced when it is whole; else history.ro.duckdb beside the history.",
    ),
]
CopyArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A copy of a history.")]


def snapshot(target: TargetOption = None, config: ConfigOption = None) -> None:
    """Copy the history as it is at this instant, whether a process runs or not."""
    copy = copy_history(settings_of(config).storage.url, target=target)
    say(f"{copy} has the history of now ({in_units(copy.stat().st_size)})")


def restore(
    file: CopyArgument,
    reason: WhyOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Put a copy in the place of the history; the one before is kept beside it.

    No process may run. Published limits stay as they are: the next start reads them back.
    """
    settings = settings_of(config)
    restored = put_in_place(
        settings.storage.url,
        file,
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=None if reason is None else spoken(reason, of="the reason"),
        at=datetime.now(UTC),
        audit=settings.audit_log.enabled,
    )
    say(_told(restored))
    if restored.kept:
        say(f"the history before is kept: {restored.kept}")
    if restored.pins or restored.holds:
        say(
            f"in force again as it was then: {restored.pins} pins and {restored.holds} holds; "
            "`mlo pins` and `mlo holds` list them"
        )


def _told(restored: Restored) -> str:
    newest = restored.newest_at
    sample = f"newest sample {newest:%Y-%m-%d %H:%M} UTC" if newest else "no sample"
    return (
        f"{restored.path} is restored: {sample}, {restored.revisions} revisions, "
        f"{in_units(restored.size_bytes)}"
    )
