"""`mlo history`: what was published, when, by whom, what it changed and what became of it."""

from __future__ import annotations

from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.unknown import refuse_unknown
from policy.errors import ConfigError
from storage import reading

REVISIONS: Final = (
    Column(name="revision", heading="revision"),
    Column(name="begun", heading="at (UTC)"),
    Column(name="actor", heading="by"),
    Column(name="outcome", heading="outcome"),
    Column(name="changed_limits", heading="changed"),
    Column(name="told", heading="what became of it", missing="", wraps=True),
)
CHANGES: Final = (
    Column(name="revision", heading="revision"),
    Column(name="begun", heading="at (UTC)"),
    Column(name="outcome", heading="outcome"),
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="before", heading="before", missing="as without us"),
    Column(name="after", heading="after", missing="as without us"),
    Column(name="told", heading="why", missing="", wraps=True),
)

TenantArgument = Annotated[str | None, typer.Argument(help="The changes of this tenant.")]
RevisionOption = Annotated[
    int | None, typer.Option("--revision", metavar="N", min=1, help="The changes of this one.")
]
NewestOption = Annotated[
    int, typer.Option("--newest", metavar="N", min=1, max=10_000, help="How many at most.")
]


def history(
    tenant: TenantArgument = None,
    revision: RevisionOption = None,
    newest: NewestOption = 20,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List what was published, the newest first; of a tenant or a revision, each change and why."""
    url = settings_of(config).storage.url
    if tenant is None and revision is None:
        found = reading.revisions(url).head(newest)
        if found.is_empty():
            say("nothing was published yet")
        show(found, form=output, columns=REVISIONS, table=_told(found, why="detail"))
        return
    changes = reading.published_changes(url)
    if tenant is not None:
        refuse_unknown(tenant, known=reading.known_tenants(url))
        changes = changes.filter(tenant=tenant)
    if revision is not None:
        _refuse_unknown_revision(revision, known=reading.revisions(url)["revision"].to_list())
        changes = changes.filter(revision=revision)
    found = changes.head(newest) if revision is None else changes
    if found.is_empty():
        say("no published revision changed anything of that")
    show(found, form=output, columns=CHANGES, table=_told(found, why="reason"))


def _refuse_unknown_revision(revision: int, *, known: list[int]) -> None:
    if revision not in known:
        newest = f"the newest is {max(known)}" if known else "nothing was published yet"
        raise ConfigError(f"there is no revision {revision}; {newest}")


def _told(found: pl.DataFrame, *, why: str) -> pl.DataFrame:
    # In a log the number and the outcome belong to the sentence; here they have a column each.
    named = pl.format("revision {} {}: ", "revision", "outcome")
    return found.with_columns(
        begun=pl.col("begun_at").dt.strftime("%Y-%m-%d %H:%M:%S"),
        told=pl.col(why).str.strip_prefix(named),
    )
