"""`mlo rollback`, `mlo release` and `mlo holds`: an earlier revision again, and held."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.diff import COLUMNS as CHANGES
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.commands.pins import ByOption, ForOption, ReasonOption, UntilOption, WhyOption
from deployments.holding import held_plan, of_everyone, refuse_stranger, said_by
from deployments.output import Column, Format, show
from deployments.pinning import ending, ends_at, forecast, login_name
from policy.errors import ConfigError
from policy.holds import EVERYONE, HOLDS, Hold, in_force
from policy.pinnable import spoken
from storage import holds as stored
from storage import reading

COLUMNS: Final = (
    Column(name="whose", heading="tenant"),
    Column(name="revision", heading="revision"),
    Column(name="by", heading="by"),
    Column(name="since", heading="since"),
    Column(name="until", heading="until", missing="released"),
    Column(name="reason", heading="why", wraps=True),
)

RevisionArgument = Annotated[
    int, typer.Argument(metavar="REVISION", min=1, help="Its number, see `mlo history`.")
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="TENANT", help="Only this one; else everyone.")
]
WhoseArgument = Annotated[
    str | None, typer.Argument(metavar="TENANT", help="Whose hold ends; else all of them.")
]
PreviewOption = Annotated[
    bool, typer.Option("--preview", help="Only show what would change; nothing is held.")
]


def rollback(  # noqa: PLR0913, PLR0917 - the options of a command line
    revision: RevisionArgument,
    reason: ReasonOption,
    tenant: TenantOption = None,
    length: ForOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    *,
    preview: PreviewOption = False,
) -> None:
    """Publish an earlier revision again, of one tenant or of all, and hold it until released.

    Pins still count, and the hard bounds; what else is decided waits.
    """
    settings = settings_of(config)
    url, now = settings.storage.url, datetime.now(UTC)
    said = said_by(url, revision)
    word = Hold(
        tenant=EVERYONE if tenant is None else spoken(tenant, of="the tenant"),
        revision=revision,
        reason=spoken(reason, of="the reason"),
        by=spoken(login_name() if by is None else by, of="--by"),
        since=now,
        until=ends_at(length, until, now=now),
    )
    refuse_stranger(word.tenant, said=said, known=reading.known_tenants(url))
    pending = held_plan(settings, word=word, said=said, where=url)
    show(pending.changes, form=output, columns=CHANGES)
    if preview:
        say("a preview: nothing is held")
        return
    stored.hold(url, word, said=said, audit=settings.audit_log.enabled)
    end = ending(word.until, "it is released")
    say(f"{_whose(word.tenant)} is held at revision {revision} {end}")
    say(forecast(settings))


def release(
    tenant: WhoseArgument = None,
    reason: WhyOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """End the hold of a rollback: the limits are again what the other layers say."""
    settings = settings_of(config)
    url, now = settings.storage.url, datetime.now(UTC)
    found = in_force(reading.holds(url), now=now)
    whose = EVERYONE if tenant is None else spoken(tenant, of="the tenant")
    if found.is_empty() or (whose != EVERYONE and whose not in found["tenant"]):
        raise ConfigError(f"{whose} is not held; `mlo holds` lists" if tenant else "nobody is held")
    stored.release(
        url,
        tenant=whose,
        everyone=of_everyone(url, found),
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=None if reason is None else spoken(reason, of="the reason"),
        at=now,
        audit=settings.audit_log.enabled,
    )
    left = found.filter(pl.col("tenant") == EVERYONE)
    if whose != EVERYONE and not left.is_empty():
        say(f"{whose} is held with everyone again, at revision {left['revision'][0]}")
    else:
        say(f"{_whose(whose)} is no longer held")
    say(forecast(settings))


def holds(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List who is held at an earlier revision, by whom, why and until when."""
    found = in_force(reading.holds(settings_of(config).storage.url), now=datetime.now(UTC))
    if found.is_empty():
        say("nobody is held")
    everyone = pl.col("tenant") == EVERYONE
    named = found.with_columns(whose=pl.when(everyone).then(pl.lit("everyone")).otherwise("tenant"))
    show(named.select("whose", *HOLDS.names()), form=output, columns=COLUMNS)


def _whose(tenant: str) -> str:
    return tenant or "everyone"
