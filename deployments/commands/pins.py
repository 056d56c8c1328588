"""`mlo pin`, `mlo unpin` and `mlo pins`: an operator's word on one limit."""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Final

import polars as pl
import typer

from deployments.commands.options import ConfigOption, OutputOption, say, settings_of
from deployments.output import Column, Format, show
from deployments.pinning import (
    ends_at,
    forecast,
    lasting,
    login_name,
    pins_now,
    refuse_unpublishable,
    with_pin,
)
from deployments.unknown import refuse_unknown
from policy.figures import figure
from policy.pinnable import PinRefused, pinnable, spoken
from policy.pins import Pin
from policy.tuned import bounds_of, catalogue_of
from storage import pins as stored
from storage import reading

COLUMNS: Final = (
    Column(name="tenant", heading="tenant"),
    Column(name="limit", heading="limit"),
    Column(name="value", heading="pinned to"),
    Column(name="without", heading="without"),
    Column(name="by", heading="by"),
    Column(name="since", heading="since"),
    Column(name="until", heading="until", missing="unpinned"),
    Column(name="reason", heading="why", wraps=True),
)

Whose = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
Which = Annotated[str, typer.Argument(metavar="LIMIT", help="The limit's name in Mimir.")]
ValueArgument = Annotated[
    str, typer.Argument(metavar="VALUE", help="In the limit's own unit: 500000, 0.5.")
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; one line.")]
WhyOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; one line.")]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="7d", help="How long it holds; else until unpinned.")
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Till when: 2026-12-31T18:00, UTC.")
]
ByOption = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who says so; else your login name.")
]
YesOption = Annotated[
    bool,
    typer.Option("--yes", help="Also a tenant never seen, and a 0 that refuses everything."),
]


def pin(  # noqa: PLR0913, PLR0917 - the options of a command line
    tenant: Whose,
    limit: Which,
    value: ValueArgument,
    reason: ReasonOption,
    length: ForOption = None,
    until: UntilOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
    *,
    yes: YesOption = False,
) -> None:
    """Hold one limit of one tenant at a value, whatever else is decided.

    The hard bounds, minLimits and maxLimits, hold for pins too. Pinning again replaces.
    """
    settings = settings_of(config)
    number = pinnable(
        limit,
        value,
        catalogue=catalogue_of(settings.limits),
        bounds=bounds_of(settings.limits),
        blocking=yes,
    )
    now = datetime.now(UTC)
    word = Pin(
        tenant=spoken(tenant, of="the tenant"),
        limit=limit,
        value=number,
        reason=spoken(reason, of="the reason"),
        by=spoken(login_name() if by is None else by, of="--by"),
        since=now,
        until=ends_at(length, until, now=now),
    )
    if not yes:
        refuse_unknown(word.tenant, known=reading.known_tenants(settings.storage.url))
    layers = reading.layers(settings.storage.url)
    refuse_unpublishable(word, layers=layers, settings=settings)
    stored.pin(settings.storage.url, word, audit=settings.audit_log.enabled)

    its = pins_now(settings, layers=with_pin(layers, word), now=now).filter(
        tenant=word.tenant, limit=limit
    )
    say(lasting(word, without=its["without"].item()))
    say(forecast(settings))


def unpin(
    tenant: Whose,
    limit: Which,
    reason: WhyOption = None,
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Take a pin back: the limit is again what the other layers say."""
    settings = settings_of(config)
    url, now = settings.storage.url, datetime.now(UTC)
    found = pins_now(settings, layers=reading.layers(url), now=now)
    its = found.filter(tenant=tenant, limit=limit)
    if its.is_empty():
        raise _not_pinned(tenant, limit, found=found)
    stored.unpin(
        url,
        tenant=tenant,
        limit=limit,
        by=spoken(login_name() if by is None else by, of="--by"),
        reason=None if reason is None else spoken(reason, of="the reason"),
        at=now,
        audit=settings.audit_log.enabled,
    )
    pinned_to, without = its.select("value", "without").row(0)
    say(f"{tenant}  {limit}  {figure(pinned_to)} → {figure(without)}, no longer pinned")
    say(forecast(settings))


def pins(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """List what is pinned, by whom, why and until when."""
    settings = settings_of(config)
    layers = reading.layers(settings.storage.url)
    found = pins_now(settings, layers=layers, now=datetime.now(UTC))
    if found.is_empty():
        say("nothing is pinned")
    show(found, form=output, columns=COLUMNS)


def _not_pinned(tenant: str, limit: str, *, found: pl.DataFrame) -> PinRefused:
    its = found.filter(tenant=tenant)["limit"].to_list()
    near = get_close_matches(tenant, found.filter(limit=limit)["tenant"].to_list(), n=1)
    way_out = "`mlo pins` lists what is"
    if its:
        way_out = f"of this tenant, pinned is {', '.join(its)}"
    elif near:
        way_out = f"did you mean {near[0]}?"
    return PinRefused(f"{limit} of {tenant} is not pinned; {way_out}")
