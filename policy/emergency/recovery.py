"""When an emergency is over, and how the limits come back: step by step, each one validated.

All has to be healthy for `stableFor` before the first step; then a step follows each
`stepInterval` in which all stayed healthy. When it worsens, the newest step is taken back. What
set the level off has to be measured again: that nothing is known of it is no health, and no
illness either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from policy.emergency.crashes import Crash
from policy.emergency.readings import Look
from policy.emergency.rules import Terms
from policy.emergency.state import State

_SPIKE: Final = 2.0  # times what was refused at the step before
_FEW: Final = 1.0  # requests/s that are no spike whatever was before


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How Mimir is, by one look; `why` says what is not healthy or not known."""

    verdict: Literal["healthy", "ill", "unknown"]
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The state after a look at the health, what was done, and why."""

    state: State
    what: Literal["nothing", "stepped", "stepped_back", "recovered"] = "nothing"
    why: str = ""


def health(state: State, look: Look, *, crashed: Sequence[Crash], terms: Terms) -> Health:
    """Whether everything is as it has to be for a step.

    Args:
        state: with what is known of the processes after this look.
        look: this look.
        crashed: the crashes that it shows.
        terms: what healthy means.
    """
    if crashed:
        return Health(verdict="ill", why=f"{crashed[0].pod} {crashed[0].why}")
    if gone := sorted(state.watch.gone):
        return Health(verdict="ill", why=f"{gone[0]} does not answer")
    full = [r for r in look.readings if r.value >= terms.calm[r.resource]]
    if full:
        first = max(full, key=lambda reading: reading.value / terms.calm[reading.resource])
        return Health(verdict="ill", why=f"{first.resource} of {first.pod or 'all'} is not calm")
    refused = look.rejected
    if (
        refused is not None
        and state.rejected is not None
        and refused > max(_FEW, _SPIKE * state.rejected)
    ):
        return Health(verdict="ill", why=f"processes refuse {refused:,.0f} requests/s")
    unknown = sorted({*state.resources} - look.measured - {"crash"})
    if unknown:
        return Health(verdict="unknown", why=f"{' and '.join(unknown)} cannot be measured")
    return Health(verdict="healthy")


def moved_on(state: State, look: Look, *, found: Health, terms: Terms) -> Moved:
    """One look further on the way back.

    Args:
        state: of an emergency.
        look: this look.
        found: how Mimir is, by this look.
        terms: how long, and how far apart.
    """
    if found.verdict == "ill":
        return _worsened(state, at=look.at, why=found.why, terms=terms)
    lapsed = state.healthy_at is None or look.at - state.healthy_at > terms.stale_after
    if found.verdict == "unknown":
        return Moved(state=replace(state, healthy_since=None) if lapsed else state, why=found.why)
    if lapsed or state.healthy_since is None:
        state = replace(state, healthy_since=look.at, rejected=look.rejected)
    state = replace(state, healthy_at=look.at)
    due = next_step_at(state, terms=terms)
    if due is None or look.at < due:
        return Moved(state=state)
    restored = state.restored + terms.step_points
    if restored >= state.most:
        return Moved(state=state.over(), what="recovered")
    forth = replace(state, restored=restored, stepped_at=look.at, rejected=look.rejected)
    return Moved(state=forth, what="stepped")


def next_step_at(state: State, *, terms: Terms) -> datetime | None:
    """When the next step is due if all stays healthy; None while it is not."""
    if state.healthy_since is None:
        return None
    if state.stepped_at is None:
        return state.healthy_since + terms.stable_for
    return max(state.healthy_since, state.stepped_at) + terms.step_interval


def _worsened(state: State, *, at: datetime, why: str, terms: Terms) -> Moved:
    """The newest step is taken back at once, and one more after each interval that it lasts."""
    was_well = state.healthy_since is not None
    ill = replace(state, healthy_since=None, healthy_at=None)
    if state.stepped_at is None or not (was_well or at - state.stepped_at >= terms.step_interval):
        return Moved(state=ill, why=why)
    restored = max(0.0, state.restored - terms.step_points)
    back = replace(ill, restored=restored, stepped_at=at if restored else None)
    return Moved(state=back, what="stepped_back", why=why)
