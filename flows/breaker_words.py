"""What people are told of the breakers: how they turn, by what thresholds, and why they are off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from policy.breakers import TRIPPED
from policy.settings import Settings
from storage.breakers import EVERYONE
from tasks.say import Event

COMPONENT: Final = "breaker"

WORDS: Final = {
    ("closed", "watch"): "out of the usual",
    ("cooling", "watch"): "out of the usual again",
    ("watch", "open"): "blast detected, the circuit breaker opens",
    ("closed", "open"): "blast detected, the circuit breaker opens",
    ("cooling", "open"): "blast detected, the circuit breaker opens again",
    ("half_open", "open"): "the trial failed, the circuit breaker opens again",
    ("open", "half_open"): "the circuit breaker is half-open, a trial",
    ("half_open", "cooling"): "calm, the circuit breaker closes",
    ("growth", "cooling"): "calm again",
    ("open", "growth"): "it lasts, so it is growth and no blast",
    ("half_open", "growth"): "it lasts, so it is growth and no blast",
}


def turn_events(turns: pl.DataFrame) -> list[Event]:
    """Of TURNS those that people want to hear of: not that one who was watched is calm."""
    return [
        _turn_event(row)
        for row in turns.iter_rows(named=True)
        if row["after"] not in {"closed", "cooling"} or row["before"] in {*TRIPPED, "growth"}
    ]


def _turn_event(turn: Mapping[str, Any]) -> Event:
    before, after, tenant = turn["before"], turn["after"], turn["tenant"]
    words = WORDS.get((before, after), f"circuit breaker {after}")
    return Event(
        component=COMPONENT,
        action=f"circuit breaker {after}".replace("_", "-"),
        words=f"{tenant}  {words}: {turn['because']}",
        tenant=tenant,
        details={"before": before, "after": after, "kinds": turn["kinds"].split(",")},
    )


def why_off(settings: Settings, *, off: pl.DataFrame) -> str:
    """Why no breaker may cap anybody; empty when they may.

    Args:
        settings: of the run.
        off: who is switched off, EVERYONE among them (storage.breakers).
    """
    breaker = settings.circuit_breaker
    if settings.mode != "prod":
        return f"the mode is {settings.mode}: blasts are told, nobody is capped"
    if not breaker.enabled:
        return "circuitBreaker.enabled is false"
    if not breaker.runtime_enabled:
        return "circuitBreaker.runtimeEnabled is false"
    if EVERYONE in off["tenant"]:
        return "somebody has switched all of them off; `mlo breaker list` says who"
    return ""


def switched_event(why: str) -> Event:
    """That breakers cap nobody from now on, and why; with '' that they do again."""
    action = f"circuit breaker {'disabled' if why else 'enabled'}"
    words = f"{action}: {why}" if why else f"{action}: who blasts is capped"
    return Event(component=COMPONENT, action=action, words=words)


def thresholds_event(thresholds: pl.DataFrame, *, action: str) -> Event:
    """That THRESHOLDS are others; the action is `recalculated` or `adapted thresholds`."""
    tenants = thresholds["tenant"].n_unique()
    how = {
        "recalculated thresholds": "by the limits in force",
        "adapted thresholds": "to what was reached in the last hour",
    }[action]
    return Event(
        component=COMPONENT,
        action=action,
        words=f"circuit breaker: {action} of {tenants} tenant{'s' * (tenants != 1)} {how}",
        details={"tenants": tenants, "thresholds": thresholds.height},
    )
