"""`mlo alerts`: what was told, what waits, what was given up, and the word of a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import Code, ConfigOption, OutputOption, say, settings_of
from deployments.commands.pins import ByOption
from deployments.output import Column, Format, show
from deployments.pinning import login_name
from policy.errors import ConfigError
from policy.pinnable import spoken
from storage import alert_reading as reading
from storage.incidents import acknowledge

INCIDENTS: Final = (
    Column(name="opened_at", heading="since"),
    Column(name="priority", heading="priority"),
    Column(name="incident", heading="incident"),
    Column(name="state", heading="state"),
    Column(name="title", heading="what", wraps=True),
    Column(name="told", heading="told", missing="nobody"),
    Column(name="waits_for", heading="waits for", missing="-"),
)
DEAD: Final = (
    Column(name="entered_at", heading="since"),
    Column(name="channel", heading="channel"),
    Column(name="priority", heading="priority"),
    Column(name="incident", heading="incident"),
    Column(name="tells", heading="tells"),
    Column(name="attempts", heading="tries"),
    Column(name="problem", heading="why", wraps=True),
    Column(name="delivery", heading="message"),
)
CHANNELS: Final = (
    Column(name="channel", heading="channel"),
    Column(name="breaker", heading="breaker"),
    Column(name="succeeded_at", heading="last told", missing="never"),
    Column(name="waiting", heading="waiting"),
    Column(name="retrying", heading="retrying"),
    Column(name="dead", heading="given up"),
    Column(name="problem", heading="why", missing="-", wraps=True),
)

alert_commands = typer.Typer(
    help="Alerts: what was told, what waits, what was given up.", no_args_is_help=True
)

IncidentArgument = Annotated[
    str, typer.Argument(metavar="INCIDENT", help="As `mlo alerts list` names it.")
]
MessageArgument = Annotated[
    str | None,
    typer.Argument(metavar="MESSAGE", help="As `mlo alerts dead` names it; else all of them."),
]
AllOption = Annotated[bool, typer.Option("--all", help="Also those that are over.")]
ChannelOption = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME", help="Only this one; may be said several times."),
]


@alert_commands.command("list")
def list_incidents(
    *,
    everything: AllOption = False,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the incidents that go on, and who was told."""
    found = reading.incidents(settings_of(config).storage.url)
    if not everything:
        found = found.filter(pl.col("state").is_in(["firing", "acknowledged"]))
    if found.is_empty():
        say("nothing was ever told" if everything else "nothing goes on; --all lists what is over")
    show(found, form=output, columns=INCIDENTS)


@alert_commands.command()
def channels(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List the channels: which works, what waits for it, why one is left alone."""
    found = reading.channels(settings_of(config).storage.url)
    if found.is_empty():
        say("no channel was tried yet; `mlo alerts test` tries those that are enabled")
    show(found, form=output, columns=CHANNELS)


@alert_commands.command()
def dead(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List the messages that were given up."""
    found = reading.dead_letters(settings_of(config).storage.url)
    if found.is_empty():
        say("no message was given up")
    show(found, form=output, columns=DEAD)


@alert_commands.command()
def retry(
    message: MessageArgument = None, by: ByOption = None, config: ConfigOption = None
) -> None:
    """Try messages again that were given up."""
    settings = settings_of(config)
    url = settings.storage.url
    known = reading.dead_letters(url)["delivery"].to_list()
    if not known:
        raise ConfigError("no message was given up")
    if message is not None and message not in known:
        raise ConfigError(f"{message} was not given up; `mlo alerts dead` lists what was")
    reading.revive(
        url,
        delivery=message,
        by=_who(by),
        at=datetime.now(UTC),
        audit=settings.audit_log.enabled,
    )
    count = 1 if message else len(known)
    say(f"{count} message{'s' if count > 1 else ''} will be tried again")


@alert_commands.command()
def ack(incident: IncidentArgument, by: ByOption = None, config: ConfigOption = None) -> None:
    """Say that you see to it: it goes no further, and the channels are told."""
    settings = settings_of(config)
    url = settings.storage.url
    going_on = reading.incidents(url).filter(state="firing")["incident"].to_list()
    if incident not in going_on:
        raise ConfigError(f"{incident} waits for nobody; `mlo alerts list` lists what does")
    who = _who(by)
    acknowledge(
        url, subject=incident, by=who, at=datetime.now(UTC), audit=settings.audit_log.enabled
    )
    say(f"{who} sees to {incident}")


@alert_commands.command("test")
def try_out(
    channel: ChannelOption = None, by: ByOption = None, config: ConfigOption = None
) -> None:
    """Send a real message over every channel that is enabled, and its end."""
    from deployments.trying_channels import try_channels  # noqa: PLC0415 - slow to import

    tested = try_channels(
        settings_of(config), channels=channel or (), now=datetime.now(UTC), by=_who(by)
    )
    for one in tested:
        typer.echo(f"{one.channel}: {one.problem or 'took the message'}")
    if any(one.problem for one in tested):
        raise typer.Exit(Code.ERROR)


def _who(by: str | None) -> str:
    return spoken(login_name() if by is None else by, of="--by")
