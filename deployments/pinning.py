"""What `mlo pin` makes sure of before it writes, and what it says afterwards.

A pin that would stop what is published for everybody is refused: a name that the running Mimir
does not know, a tenant id that it does not take, two pins that contradict each other.
"""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from deployments.mimir_version import running_version
from policy.effective import beneath
from policy.figures import figure
from policy.frames import LIMITS
from policy.pinnable import PinRefused
from policy.pins import LAYER, PINNED, Pin, listed, pins_of
from policy.plan import Terms, plan
from policy.settings import Settings, format_duration, parse_duration
from policy.tuned import bounds_of, catalogue_of
from policy.versions import known_to
from storage import reading
from storage.client import running_server
from storage.database import Database

_MINUTE: Final = "%Y-%m-%d %H:%M UTC"


def login_name() -> str:
    """Who types.

    Raises:
        PinRefused: the machine does not know.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise PinRefused("this user has no login name; say who pins with --by") from None


def ends_at(length: str | None, moment: str | None, *, now: datetime) -> datetime | None:
    """When the word of an operator expires; None when neither is said.

    Args:
        length: from now on, like 7d or 1h30m.
        moment: an ISO time, in UTC where it names no other zone.
        now: aware UTC.

    Raises:
        PinRefused: both are said, one cannot be read, or the pin would have expired already.
    """
    if length is not None and moment is not None:
        raise PinRefused("--for and --until both say when it ends; give one of them")
    try:
        if length is not None:
            end = now + parse_duration(length)
        elif moment is not None:
            read = datetime.fromisoformat(moment)
            end = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
        else:
            return None
    except ValueError as fault:
        way_out = "write it like 2026-12-31T18:00Z" if moment is not None else "as in --for 7d"
        raise PinRefused(f"{fault}; {way_out}") from None
    except OverflowError:
        raise PinRefused("it would end after the year 9999; leave its end out") from None
    if end <= now:
        raise PinRefused(f"it would end at {end:{_MINUTE}}, which is not ahead; give a later time")
    return end


def pins_now(
    settings: Settings,
    *,
    layers: pl.DataFrame,
    now: datetime,
    where: str | Database | None = None,
) -> pl.DataFrame:
    """PINNED of these LAYERS; `where` is the history, None: as the settings name it.

    Raises:
        StorageError: the history cannot be reached.
    """
    pins = pins_of(layers, now=now)
    if pins.is_empty():
        return pl.DataFrame(schema=PINNED)
    own = beneath(
        reading.observed(where or settings.storage.url),
        tenants=pins["tenant"],
        limits=pins["limit"].unique().sort().to_list(),
    )
    its = layers.join(pins, on=["tenant", "limit"], how="semi")
    return listed(its, beneath=own, bounds=bounds_of(settings.limits), now=now)


def with_pin(layers: pl.DataFrame, word: Pin) -> pl.DataFrame:
    """LAYERS once the pin has replaced what this limit was pinned to."""
    same = (
        (pl.col("layer") == LAYER)
        & (pl.col("tenant") == word.tenant)
        & (pl.col("limit") == word.limit)
    )
    return pl.concat([layers.filter(~same), word.as_layer()])


def refuse_unpublishable(
    word: Pin,
    *,
    layers: pl.DataFrame,
    settings: Settings,
    where: str | Database | None = None,
) -> None:
    """Refuse a pin with which the document could not be published any more.

    Args:
        word: the pin.
        layers: LAYERS without it.
        settings: for the bounds, the catalogue, and where Mimir is.
        where: the history; None: as the settings name it.

    Raises:
        PinRefused: Mimir would refuse the document, or get it wrong.
        StorageError: the history cannot be reached.
    """
    observed = reading.observed(where or settings.storage.url)
    catalogue = catalogue_of(settings.limits)
    its = pl.col("tenant") == word.tenant

    def problems(said: pl.DataFrame, *, version: str | None) -> tuple[str, ...]:
        return plan(
            said.filter(its),
            observed=observed,
            # What stands is said again, so a pin to the operator's own value is checked too.
            standing=word.as_layer().select(LIMITS.names()),
            bounds=bounds_of(settings.limits),
            terms=Terms(known=known_to(version, catalogue=catalogue), catalogue=catalogue),
            now=word.since,
        ).problems

    def added(version: str | None) -> list[str]:
        before = problems(layers, version=version)
        return [
            each for each in problems(with_pin(layers, word), version=version) if each not in before
        ]

    found = added(None)
    if found:  # perhaps only because it is not known which names this Mimir takes
        found = added(asyncio.run(running_version(settings)))
    if found:
        raise PinRefused(f"with this pin nothing could be published any more: {found[0]}")


def forecast(settings: Settings) -> str:
    """When what was changed shows in Mimir."""
    url = settings.storage.url
    # What runs with --simulate publishes to its simulated Mimir, whatever the mode here.
    if settings.mode != "prod" and not reading.simulated(url):
        return "the mode is dry-run: `mlo diff` shows it, and nothing is published"
    if settings.publish.paused:
        return "publish.paused is true: it waits until that is false"
    if why := reading.pause(url):
        return f"it waits: {why}"
    if not url.startswith("quack:") and running_server(Path(url).absolute()) is None:
        return "`mlo up` does not run: it is published once it does"
    return f"it is published within {format_duration(settings.protect_interval)}"


def ending(until: datetime | None, otherwise: str = "it is unpinned") -> str:
    """`until 2026-11-24 08:00 UTC`, or what ends it otherwise."""
    return f"until {until:{_MINUTE}}" if until else f"until {otherwise}"


def lasting(word: Pin, *, without: float | None) -> str:
    """The pin in one line, with what the limit would be without it."""
    return (
        f"{word.tenant}  {word.limit}  pinned to {figure(word.value)} {ending(word.until)}; "
        f"without the pin it is {figure(without)}"
    )
