"""How long to leave a channel alone: after one message that it did not take, and after several.

The breaker of a channel is closed while it works, open when it failed so often in a row that
trying is pointless, half-open when a few messages may try whether it works again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final, Literal

from policy.settings.alerting import Retry

Breaker = Literal["closed", "open", "half-open"]

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a channel is left alone.

    Attributes:
        failures: in a row, until it is.
        recovery: for how long.
        trials: that may be under way after that, and how many must work in a row.
    """

    failures: int
    recovery: timedelta
    trials: int = 3


WEBHOOK: Final = Rules(failures=5, recovery=5 * _MINUTE)
RULES: Final[Mapping[str, Rules]] = {
    "slack": Rules(failures=5, recovery=5 * _MINUTE),
    "pagerduty": Rules(failures=3, recovery=5 * _MINUTE),
    "email": Rules(failures=5, recovery=10 * _MINUTE),
}
"""By channel; every other one is as a webhook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a channel stands; what is kept of it between runs.

    Attributes:
        breaker: closed, open or half-open.
        since: when that began, aware UTC; None: it has always been closed.
        failures: in a row.
        worked: trials that worked in a row, while half-open.
        not_before: when the service wants to be asked again, where it said so.
        problem: why the newest try failed; None: it worked, or there was none.
        succeeded_at: when a message was last taken.
        checked_at: when the way was last tried, by a message or by a check.
    """

    breaker: Breaker = "closed"
    since: datetime | None = None
    failures: int = 0
    worked: int = 0
    not_before: datetime | None = None
    problem: str | None = None
    succeeded_at: datetime | None = None
    checked_at: datetime | None = None


def rules_of(channel: str) -> Rules:
    """The rules of a channel, by its name."""
    return RULES.get(channel, WEBHOOK)


def ready(standing: Standing, *, rules: Rules, now: datetime) -> Standing:
    """The standing as of now: what was open long enough is half-open."""
    if standing.breaker != "open" or standing.since is None:
        return standing
    if now - standing.since < rules.recovery:
        return standing
    return replace(standing, breaker="half-open", since=now, worked=0)


def admitted(standing: Standing, *, rules: Rules, now: datetime) -> int | None:
    """How many messages may be tried now; None: any number."""
    if standing.not_before is not None and now < standing.not_before:
        return 0
    match standing.breaker:
        case "closed":
            return None
        case "open":
            return 0
        case "half-open":
            return rules.trials


def after_success(
    standing: Standing, *, rules: Rules, now: datetime, message: bool = True
) -> Standing:
    """The channel took a message, or a check of it went well (`message` false)."""
    worked = standing.worked + 1 if standing.breaker == "half-open" else 0
    closes = standing.breaker == "open" or worked >= rules.trials
    return replace(
        standing,
        breaker="closed" if closes else standing.breaker,
        since=now if closes else standing.since,
        failures=0,
        worked=0 if closes else worked,
        not_before=None,
        problem=None,
        succeeded_at=now if message else standing.succeeded_at,
        checked_at=now,
    )


def after_failure(
    standing: Standing,
    *,
    rules: Rules,
    now: datetime,
    problem: str,
    retry_after: timedelta | None = None,
    hopeless: bool = False,
) -> Standing:
    """The channel did not take a message, or a check failed.

    Args:
        standing: before.
        rules: of the channel.
        now: aware UTC.
        problem: why, in one line.
        retry_after: how long the service wants to be left alone, where it said so.
        hopeless: it will not work until somebody changes something: it is left alone at once.
    """
    failures = standing.failures + 1
    opens = hopeless or standing.breaker != "closed" or failures >= rules.failures
    return replace(
        standing,
        breaker="open" if opens else "closed",
        since=now if opens else standing.since,
        failures=failures,
        worked=0,
        not_before=None if retry_after is None else now + retry_after,
        problem=problem,
        checked_at=now,
    )


def delay(attempts: int, *, retry: Retry, random: Random) -> timedelta:
    """How long a message waits after its nth try failed: doubled each time, and half of it chance.

    Messages that failed together do not return together.
    """
    doubled = retry.first_delay * (1 << min(attempts - 1, 30))
    whole = min(doubled, retry.longest_delay)
    return whole / 2 + whole / 2 * random.random()
