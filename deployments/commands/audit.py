"""`mlo audit`: who did what to whom, when, why, and whether it worked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer

from deployments.audit_files import KINDS, write_entries
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from policy.audit import Category
from policy.audit_words import told
from policy.errors import ConfigError
from policy.settings import parse_duration
from storage.audit_reading import Asked, entries, met
from tasks.whole_file import refuse_other_kinds

COLUMNS: Final = (
    Column(name="at", heading="at (UTC)"),
    Column(name="action", heading="what"),
    Column(name="tenant", heading="tenant", missing="-"),
    Column(name="actor", heading="by"),
    Column(name="told", heading="details", missing="", wraps=True),
)

TenantArgument = Annotated[str | None, typer.Argument(metavar="TENANT", help="Only this tenant.")]
CategoryOption = Annotated[
    Category | None,
    typer.Option("--category", help="user, system, cost, security or performance."),
]
ComponentOption = Annotated[
    str | None, typer.Option("--component", metavar="NAME", help="Who entered it: publish, pin.")
]
ActionOption = Annotated[
    str | None, typer.Option("--action", metavar="NAME", help="What was done: limit_changed.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="7d", help="How far to look back.")
]
FailedOption = Annotated[bool, typer.Option("--failed", help="Only what did not work.")]
NewestOption = Annotated[
    int, typer.Option("--newest", metavar="N", min=1, max=100_000, help="How many at most.")
]
ExportOption = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", help="Write all that match: FILE.jsonl, .csv or .parquet."
    ),
]


def audit(  # noqa: PLR0913, PLR0917 - the options of a command line
    tenant: TenantArgument = None,
    category: CategoryOption = None,
    component: ComponentOption = None,
    action: ActionOption = None,
    since: SinceOption = None,
    newest: NewestOption = 50,
    export: ExportOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    failed: FailedOption = False,
) -> None:
    """List what was done, the newest first: by whom, to whom, why, and whether it worked."""
    settings = settings_of(config)
    url = settings.storage.url
    if export is not None:
        refuse_other_kinds(export, kinds=KINDS)
    asked = Asked(
        tenant=tenant,
        category=category,
        component=component,
        action=action,
        since=_moment(since, now=datetime.now(UTC)),
        failed=failed,
        newest=newest if export is None else None,
    )
    found = entries(url, asked)
    if found.is_empty():
        for field, text in (("action", action), ("component", component), ("tenant", tenant)):
            _refuse_unmet(text, field=field, url=url)
        off = "" if settings.audit_log.enabled else "; auditLog.enabled is false"
        say(f"nothing of that was entered{off}")
    if export is not None:
        write_entries(found.reverse(), export)
        say(f"{found.height:,} entries in {export}")
        return
    show(_parsed(found), form=output, columns=COLUMNS, table=_told(found))


def _moment(since: str | None, *, now: datetime) -> datetime | None:
    """So far back.

    Raises:
        ConfigError: it is no length of time.
    """
    try:
        length = timedelta(0) if since is None else parse_duration(since)
    except ValueError as fault:
        raise ConfigError(f"--since: {fault}") from None
    return None if since is None else now - length


def _refuse_unmet(text: str | None, *, field: str, url: str) -> None:
    """Refuse what no entry names at all, when it is likely a slip.

    Raises:
        ConfigError: with the nearest that entries name.
    """
    if text is None:
        return
    known = met(url, field)
    near = [] if text in known else get_close_matches(text, known, n=1, cutoff=0.6)
    if near:
        raise ConfigError(f"no entry names the {field} {text!r}; did you mean {near[0]}?")


def _parsed(found: pl.DataFrame) -> pl.DataFrame:
    details = pl.Series("details", [json.loads(text) for text in found["details"]], dtype=pl.Object)
    return found.with_columns(details) if found.height else found


def _told(found: pl.DataFrame) -> pl.DataFrame:
    lines = [
        f"{'' if success else 'failed: '}{told(action, json.loads(details))}"
        for action, success, details in found.select("action", "success", "details").iter_rows()
    ]
    return found.with_columns(told=pl.Series(lines, dtype=pl.String))
