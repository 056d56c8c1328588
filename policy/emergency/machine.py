"""One look further: the next state of the emergency, and what happened on the way.

A level rises at once when a rule has held for its time, and falls in one way only: a warning when
everything eased, an emergency and panic through the recovery. What is not measured raises
nothing and ends nothing; while nothing at all is measured, everything stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final, Literal

from policy.emergency.crashes import Crash, crashes, watched
from policy.emergency.readings import Look, Reading
from policy.emergency.recovery import health, moved_on
from policy.emergency.rules import Rule, Terms, rank
from policy.emergency.squeeze import Pressing, squeezed_on
from policy.emergency.state import Held, State
from policy.emergency.words import crash_words, reading_words

COLLECTED_EVERY: Final = timedelta(minutes=10)

Kind = Literal[
    "raised",
    "calmed",
    "relapsed",
    "stepped",
    "stepped_back",
    "recovered",
    "squeezed",
    "blind",
    "sighted",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people are told of; `why` is one clause."""

    kind: Kind
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """What a look came to.

    Attributes:
        state: from now on.
        events: what happened, in order.
        began: the actions that began with this look.
        collect: the processes that are to collect garbage now.
    """

    state: State
    events: tuple[Event, ...] = ()
    began: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    rule: Rule
    value: float
    why: str


@dataclass(slots=True)
class _Told:
    events: list[Event] = field(default_factory=list)
    began: tuple[str, ...] = ()

    def tell(self, kind: Kind, why: str = "") -> None:
        self.events.append(Event(kind=kind, why=why))


def advance(before: State, look: Look, *, terms: Terms, in_force: bool = False) -> Advanced:
    """The state after a look.

    Args:
        before: the state until now.
        look: what was measured.
        terms: what it means.
        in_force: every process has loaded the caps of the state until now.
    """
    told = _Told()
    blind = _is_blind(before, look)
    if blind != before.blind:
        told.tell("blind" if blind else "sighted")
    if not look.up:
        return Advanced(state=replace(before, blind=blind), events=tuple(told.events))
    watch = watched(before.watch, look)
    # Memory that is worth a warning is an ingester's usual day, and a rollout restarts that too.
    dire = {
        rule.key for rule in terms.rules if rule.resource == "memory" and rule.level != "warning"
    }
    full = {one.pod for one in before.held if one.rule in dire}
    crashed = crashes(before.watch, look, after=watch, full=full)
    held = tuple(_held(before.held, look, terms=terms))
    state = replace(before, held=held, watch=watch, blind=blind)
    firing = _firing(held, look, crashed=crashed, rules=terms.rules)
    state = _risen(state, look, firing=firing, told=told)
    dangerous = any(rank(one.rule.level) >= rank("emergency") for one in firing)
    if state.is_emergency and dangerous:
        if state.stepped_at is not None:
            told.tell("relapsed", _worst(firing).why)
        state = _pressed(state.relapsed(), look, firing=firing, in_force=in_force, terms=terms)
        if state.squeezed > before.squeezed:
            told.tell("squeezed", _worst(firing).why)
    elif state.is_emergency:
        state = replace(state, pressed_at=None, pressed=None)
        state = _recovering(state, look, crashed=crashed, terms=terms, told=told)
    elif state.level == "warning" and not firing and _eased(state, look, terms=terms):
        told.tell("calmed")
        state = state.over()
    state, collect = _collecting(state, look, terms=terms)
    return Advanced(state=state, events=tuple(told.events), began=told.began, collect=collect)


def _is_blind(state: State, look: Look) -> bool:
    """Whether nothing is known any more of what set the level off."""
    needed = {*state.resources} - {"crash"}
    lost = not look.up or (bool(needed) and not needed & look.measured)
    return state.level != "none" and lost


def _held(before: Sequence[Held], look: Look, *, terms: Terms) -> Iterator[Held]:
    """What is over a threshold; a process that was not measured keeps its time for two looks."""
    known = {(one.rule, one.pod): one for one in before if look.at - one.seen <= terms.stale_after}
    measured = {(reading.resource, reading.pod) for reading in look.readings}
    for rule in terms.rules:
        for reading in look.readings:
            if reading.resource == rule.resource and reading.value > rule.above:
                yield _renewed(known.get((rule.key, reading.pod)), rule, reading, look)
        for (key, pod), one in known.items():
            if key == rule.key and (rule.resource, pod) not in measured:
                yield one


def _renewed(known: Held | None, rule: Rule, reading: Reading, look: Look) -> Held:
    return Held(
        rule=rule.key,
        pod=reading.pod,
        component=reading.component,
        since=look.at if known is None else known.since,
        seen=look.at,
        value=reading.value,
    )


def _firing(
    held: Sequence[Held], look: Look, *, crashed: Sequence[Crash], rules: Sequence[Rule]
) -> list[_Firing]:
    by_key = {rule.key: rule for rule in rules}
    found = [
        _Firing(rule=by_key[one.rule], value=one.value, why=reading_words(one, by_key[one.rule]))
        for one in held
        if one.seen == look.at and look.at - one.since >= by_key[one.rule].held_for
    ]
    of_crashes = [rule for rule in rules if rule.resource == "crash"]
    return found + [
        _Firing(rule=rule, value=0.0, why=crash_words(one))
        for rule in of_crashes
        for one in crashed
    ]


def _worst(firing: Sequence[_Firing]) -> _Firing:
    return max(firing, key=lambda one: (one.rule.phase, one.value))


def _risen(state: State, look: Look, *, firing: Sequence[_Firing], told: _Told) -> State:
    """The level and the actions that the firing rules want, where that is more than there is."""
    if not firing:
        return state
    actions = _together(state.actions, *(one.rule.actions for one in firing))
    worst = _worst(firing)
    told.began = tuple(sorted(actions.keys() - state.actions.keys()))
    state = replace(
        state,
        actions=actions,
        resources=tuple(sorted({*state.resources, *(one.rule.resource for one in firing)})),
    )
    if worst.rule.phase <= state.phase:
        return state
    told.tell("raised", worst.why)
    risen = rank(worst.rule.level) > rank(state.level)
    acting = rank(worst.rule.level) >= rank("emergency")
    return replace(
        state,
        begun=look.at if acting and state.begun is None else state.begun,
        level=worst.rule.level if risen else state.level,
        since=look.at if risen else state.since,
        phase=worst.rule.phase,
        because=worst.why,
    )


def _together(*actions: Mapping[str, float]) -> dict[str, float]:
    """All of them, each as strong as the strongest wants it."""
    names = sorted({name for named in actions for name in named})
    return {name: max(named.get(name, 0.0) for named in actions) for name in names}


def _pressed(
    state: State, look: Look, *, firing: Sequence[_Firing], in_force: bool, terms: Terms
) -> State:
    pressing = [
        Pressing(resource=one.rule.resource, value=one.value)
        for one in firing
        if one.rule.level == "panic"
    ]
    return squeezed_on(
        state, look, pressing=pressing, in_force=in_force, most=terms.squeezed_at_most
    )


def _recovering(
    state: State, look: Look, *, crashed: Sequence[Crash], terms: Terms, told: _Told
) -> State:
    found = health(state, look, crashed=crashed, terms=terms)
    moved = moved_on(state, look, found=found, terms=terms)
    if moved.what != "nothing":
        told.tell(moved.what, moved.why)
    return moved.state


def _eased(state: State, look: Look, *, terms: Terms) -> bool:
    """Whether all that was worth a warning is measured, and well below its threshold."""
    if {*state.resources} - look.measured:
        return False
    return all(
        reading.value < terms.eased[reading.resource]
        for reading in look.readings
        if reading.resource in state.resources and reading.resource in terms.eased
    )


def _collecting(state: State, look: Look, *, terms: Terms) -> tuple[State, tuple[str, ...]]:
    """Who is to collect garbage, each at most once in ten minutes."""
    recent = {pod: at for pod, at in state.collected.items() if look.at - at < COLLECTED_EVERY}
    due = tuple(_full(look, terms=terms, but=recent)) if "force_gc" in state.actions else ()
    collected = {**recent, **dict.fromkeys(due, look.at)}
    return replace(state, collected=collected), due


def _full(look: Look, *, terms: Terms, but: Collection[str]) -> Iterator[str]:
    for reading in look.readings:
        full = reading.resource == "memory" and reading.value > terms.collect_above
        if full and reading.pod not in but:
            yield reading.pod
