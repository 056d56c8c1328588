"""The emergency for people: in lines, in the audit, in `mlo emergency`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from policy.emergency.crashes import Crash
from policy.emergency.recovery import next_step_at
from policy.emergency.rules import Rule, Terms
from policy.emergency.state import Held, State
from policy.figures import figure
from policy.frames import UTC_TIME

if TYPE_CHECKING:
    from policy.emergency.machine import Event

PHASES: Final[Mapping[int, str]] = {
    0: "nothing",
    1: "warning: everybody is told",
    2: "emergency: the actions of emergency.actions",
    3: "emergency: what the trigger asks for",
    4: "panic: all of emergency.panicMode.actions",
}
_ACTIONS: Final[Mapping[str, str]] = {
    "reduce_limits": "limits reduced",
    "throttle_ingestion": "ingestion throttled",
    "circuit_breaker": "breaker opened",
    "disable_queries": "queries on one querier",
    "force_gc": "garbage collected where memory is full",
    "alert": "told",
}

# What `mlo emergency` lists. `kind`: level, reading, unknown, action, squeeze, step.
LISTED: Final = pl.Schema(
    {
        "kind": pl.String(),
        "what": pl.String(),
        "told": pl.String(),
        "since": UTC_TIME,
        "due": UTC_TIME,
    }
)


def reading_words(one: Held, rule: Rule) -> str:
    """`memory of ingester-0 at 96.2 %, above 95 % for 1 min`."""
    if rule.resource == "samples":
        return f"{figure(one.value)} samples/s, above {figure(rule.above)}"
    lasted = (one.seen - one.since).total_seconds()
    held = f" for {_span(one.seen - one.since)}" if lasted else ""
    return (
        f"{rule.resource} of {one.pod} at {round(one.value, 1):g} %, above {rule.above:g} %{held}"
    )


def crash_words(crash: Crash) -> str:
    """`ingester-0 restarted twice within 5 minutes`."""
    return f"{crash.pod} {crash.why}"


def event_line(event: Event, *, before: State, after: State, terms: Terms) -> str:
    """What happened, in one line.

    Args:
        event: it.
        before: the state before the look.
        after: the state after it.
        terms: how far a step goes.
    """
    at, of = after.steps(step_points=terms.step_points)
    by_kind = {
        "raised": f"emergency level {after.level}, phase {after.phase}: {event.why}{_doing(after)}",
        "calmed": "emergency level none: the warning is over",
        "relapsed": f"recovery broken off, all cuts are back: {event.why}",
        "stepped": f"recovery step {at} of {of}: {figure(after.restored)} % given back",
        "stepped_back": f"recovery back to step {at} of {of}: {event.why}",
        "squeezed": f"{_squeeze_words(after)}: {event.why}",
        "recovered": f"emergency level none: recovered from {before.level}",
        "blind": f"emergency level {after.level} stays: what set it off cannot be measured",
        "sighted": "what set the emergency level off can be measured again",
    }
    return by_kind[event.kind]


def _doing(state: State) -> str:
    done = [_done(state, name) for name in sorted(state.actions) if name != "alert"]
    return f"; {', '.join(done)}" if done else ""


def action_words(name: str) -> str:
    """What an action does, in a few words."""
    return _ACTIONS[name]


def capped_words(caps: pl.DataFrame) -> str:
    """`12 limits of 4 tenants`."""
    limits, tenants = caps.height, caps["tenant"].n_unique()
    return (
        f"{limits} limit{'' if limits == 1 else 's'} of "
        f"{tenants} tenant{'' if tenants == 1 else 's'}"
    )


def listed(state: State, *, terms: Terms) -> pl.DataFrame:
    """LISTED: the level, what is over a threshold, what is done, and the way back."""
    by_key = {rule.key: rule for rule in terms.rules}
    rows: list[tuple[object, ...]] = [
        ("level", state.level, state.because or PHASES[state.phase], state.since, None)
    ]
    rows += [
        (
            "reading",
            f"{by_key[one.rule].level}, phase {by_key[one.rule].phase}",
            reading_words(one, by_key[one.rule]),
            one.since,
            one.since + by_key[one.rule].held_for,
        )
        for one in state.held
        if one.rule in by_key
    ]
    if state.blind:
        rows.append(
            (
                "unknown",
                state.level,
                "what set it off cannot be measured: the level stays",
                None,
                None,
            )
        )
    rows += [
        ("action", name, _done(state, name), state.since, None) for name in sorted(state.actions)
    ]
    if state.squeeze:
        rows.append(("squeeze", f"{figure(state.squeeze)}", _squeeze_words(state), None, None))
    if state.is_emergency:
        at, of = state.steps(step_points=terms.step_points)
        healthy = "all is healthy" if state.healthy_since else "waits for health"
        due = next_step_at(state, terms=terms)
        rows.append(("step", f"{at} of {of}", healthy, state.healthy_since, due))
    return pl.DataFrame(rows, schema=LISTED, orient="row")


def _done(state: State, name: str) -> str:
    by = state.actions[name]
    if not by:
        return action_words(name)
    left = state.points(name)
    given_back = f", {figure(by - left)} given back" if left < by else ""
    return f"{action_words(name)} by {figure(left)} %{given_back}"


def _squeeze_words(state: State) -> str:
    """`caps go below what is usually needed: 80 % of it, of critical tenants all`."""
    others, critical = (100 - state.taken(critical=critical) for critical in (False, True))
    return (
        f"caps go below what is usually needed: {figure(others)} % of it at least, "
        f"{figure(critical)} % for critical tenants"
    )


def _span(length: timedelta) -> str:
    minutes, seconds = divmod(round(length.total_seconds()), 60)
    if not minutes:
        return f"{seconds} s"
    return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
