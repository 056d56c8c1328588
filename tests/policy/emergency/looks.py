"""Looks and terms for the tests of the emergency levels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from policy.emergency.machine import Advanced, advance
from policy.emergency.readings import Look, Reading, Resource
from policy.emergency.rules import Terms, terms_of
from policy.emergency.state import State
from policy.settings import parse_settings

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVERY = timedelta(seconds=15)
POD = "ingester-0"
CALM: Mapping[Resource, float] = {"cpu": 40.0, "memory": 50.0}


def terms(**emergency: object) -> Terms:
    """The terms of `emergency` as an operator writes it."""
    return terms_of(parse_settings({"emergency": emergency}).emergency, look_every=EVERY)


DEFAULTS = terms()


def look(
    at: datetime,
    shares: Mapping[Resource, float] = CALM,
    *,
    pod: str = POD,
    up: Mapping[str, bool] | None = None,
    uptime: Mapping[str, timedelta] | None = None,
    restarted: tuple[str, ...] = (),
    container_restarts: Mapping[str, float] | None = None,
    oom_killed: tuple[str, ...] = (),
    rejected: float | None = None,
) -> Look:
    """One look at one process that uses these shares, or at those of `up`."""
    known = {pod: True} if up is None else up
    return Look(
        at=at,
        readings=tuple(
            Reading(
                resource=resource,
                pod="" if resource == "samples" else pod,
                component=None if resource == "samples" else "ingester",
                value=value,
            )
            for resource, value in shares.items()
        ),
        up=known,
        components={name: name.rpartition("-")[0] for name in known},
        uptime=uptime or {},
        restarted=frozenset(restarted),
        container_restarts=container_restarts or {},
        oom_killed=frozenset(oom_killed),
        rejected=rejected,
    )


def lasting(
    state: State,
    shares: Mapping[Resource, float],
    *,
    since: datetime,
    seconds: float,
    by: Terms = DEFAULTS,
    in_force: bool = False,
) -> Advanced:
    """The state after looks that all told the same, the last one `seconds` after the first."""
    moments = int(seconds / EVERY.total_seconds())
    advanced = Advanced(state=state)
    for number in range(moments + 1):
        told = look(since + number * EVERY, shares)
        advanced = advance(advanced.state, told, terms=by, in_force=in_force)
    return advanced
