"""When what everybody usually needs is too much: the caps go below it, little by little.

Caps that leave everybody its usual need are the first answer. Only where panic lasts although
every process has loaded them, a part of that need is taken, 20 percent points after each minute:
first from who is not critical, and from critical tenants only when the others have no more than
their share of the limit. What fills up and is not emptied by a cap, memory and disk, counts only
while it still rises.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from policy.emergency.readings import Look, Resource
from policy.emergency.state import State

EVERY: Final = timedelta(minutes=1)
STEP: Final = 20.0
WHOLE: Final = 100.0
RISEN_BY: Final = 1.0
"""Percent points by which memory or disk has to be fuller than before to count as rising."""
STOCKS: Final[Collection[Resource]] = ("memory", "disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressing:
    """A reading that is panic now."""

    resource: Resource
    value: float


def squeezed_on(
    state: State, look: Look, *, pressing: Sequence[Pressing], in_force: bool, most: float
) -> State:
    """The state with a step more of the squeeze where one is due.

    Args:
        state: after this look.
        look: this look.
        pressing: what is panic by it.
        in_force: every process has loaded the caps of the state before.
        most: percent points that may be taken, 100 of each group of tenants.
    """
    if state.level != "panic" or not in_force or not pressing:
        return replace(state, pressed_at=None, pressed=None)
    stocks = [one.value for one in pressing if one.resource in STOCKS]
    fullest = max(stocks, default=None)
    if state.pressed_at is None:
        return replace(state, pressed_at=look.at, pressed=fullest)
    before = fullest if state.pressed is None else state.pressed
    watched = replace(state, pressed=before)
    rising = fullest is not None and before is not None and fullest - before >= RISEN_BY
    lasting = rising or len(stocks) < len(pressing)
    if not lasting or look.at - state.pressed_at < EVERY or state.squeezed >= most:
        return watched
    return replace(state, squeezed=min(most, state.squeezed + STEP), pressed_at=None, pressed=None)
