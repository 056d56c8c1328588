"""`mlo breaker`: who is watched or capped, and the switch of a person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from deployments import switching
from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.commands.pins import ByOption, ReasonOption, WhyOption
from deployments.output import Column, Format, show
from deployments.pinning import forecast, login_name
from deployments.switching import Word, whose
from policy.pinnable import spoken
from policy.settings import Settings
from policy.top_metrics import top_words
from storage import reading

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="state", heading="breaker"),
    Column(name="since", heading="since"),
    Column(name="openings", heading="openings"),
    Column(name="kinds", heading="of"),
    Column(name="because", heading="why", wraps=True),
    Column(name="metrics", heading="most series", wraps=True),
)

breaker_commands = typer.Typer(
    help="The circuit breakers: who is watched or capped, and switches.", no_args_is_help=True
)

WhoseArgument = Annotated[
    str | None, typer.Argument(metavar="TENANT", help="Whose; else everyone's.")
]
OneArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Whose.")]


@breaker_commands.command("list")
def list_breakers(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List every breaker that is not plainly closed, and who switched which off."""
    settings = settings_of(config)
    url = settings.storage.url
    named = top_words(reading.breaker_metrics(url)).rename({"words": "metrics"})
    found = reading.breakers(url).join(named, on="tenant", how="left", maintain_order="left")
    off = reading.breakers_off(url)
    if found.is_empty():
        say("every breaker is closed")
    for tenant, by, reason in off.select("tenant", "by", "reason").iter_rows():
        say(f"{by} switched off {whose(tenant)}: {reason}")
    if why := _idle(settings):
        say(why)
    show(found, form=output, columns=COLUMNS)


@breaker_commands.command()
def enable(
    tenant: WhoseArgument = None,
    reason: WhyOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the breaker of a tenant, or of everyone, work again."""
    settings, named = settings_of(config), switching.named(tenant)
    word = _word(settings, by=by, reason=reason or "switched on again")
    switching.switch_on(settings.storage.url, tenant=named, word=word)
    say(f"{whose(named)} works again")


@breaker_commands.command()
def disable(
    reason: ReasonOption,
    tenant: WhoseArgument = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Let the breaker of a tenant, or of everyone, cap nobody; blasts are told as before."""
    settings, named = settings_of(config), switching.named(tenant)
    word = _word(settings, by=by, reason=reason)
    switching.switch_off(settings.storage.url, tenant=named, word=word)
    say(f"{whose(named)} caps nobody until `mlo breaker enable`")
    say(forecast(settings))


@breaker_commands.command()
def reset(
    tenant: OneArgument,
    reason: ReasonOption,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Close the breaker of a tenant at once, lift its caps, forget its openings.

    It opens again when the tenant is still out of the usual in the next looks.
    """
    settings, named = settings_of(config), switching.named(tenant)
    word = _word(settings, by=by, reason=reason)
    switching.reset(settings.storage.url, tenant=named, word=word)
    say(f"{whose(named)} is closed")
    say(forecast(settings))


def _word(settings: Settings, *, by: str | None, reason: str) -> Word:
    return Word(
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=spoken(reason, of="the reason"),
        at=datetime.now(UTC),
        audit=settings.audit_log.enabled,
    )


def _idle(settings: Settings) -> str | None:
    """Why no breaker caps anybody, by the settings."""
    breaker = settings.circuit_breaker
    if settings.mode != "prod" and not reading.simulated(settings.storage.url):
        return "the mode is dry-run: they are stepped and told, and cap nobody"
    if not (breaker.enabled and breaker.runtime_enabled):
        return "circuitBreaker.enabled or runtimeEnabled is false: they cap nobody"
    return None
