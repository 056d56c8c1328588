"""Prove that what was published is in force: confirmed, failed, or inconclusive.

The values that a pod shows are the proof; that every pod loaded its file without error, and
the same one, is the completeness. What cannot be seen is never taken for success.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from policy.errors import Conflict
from policy.figures import figure
from policy.frames import LIMITS, empty
from tasks.sinks.base import Sink

_SAME_WITHIN: Final = 1e-9
_NAMED: Final = 3  # differences that a sentence lists before it says "and more"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """What one pod says of its runtime file; None where it did not say."""

    pod: str
    successful: bool | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the pods said just before a revision was written.

    Attributes:
        revision: the revision that was written then.
        hashes: what each pod had loaded. Empty where another revision was on its way to them: a
            new hash would then prove nothing.
        refusing: the pods that refused a file already.
    """

    revision: int
    hashes: Mapping[str, str | None]
    refusing: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at all pods; `values_seen` is LIMITS, or None where no pod showed them."""

    states: Sequence[PodState]
    values_seen: pl.DataFrame | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """Every pod has it."""

    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A pod refused it, or all took a new file and it does not say what was expected."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """Neither is shown yet: wait, or hold and say so."""

    detail: str


Verdict = Confirmed | Failed | Inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What was published, and what the pods had before.

    `expected` and `removed` are LIMITS; `removed` holds what was published before and no longer
    is, with its former values. `hash_before` maps each pod to the hash it had, None where it was
    not seen; `refusing_before` are the pods that refused a file already. `defaults` maps a limit
    to Mimir's own default, whose overrides Mimir does not show.
    """

    expected: pl.DataFrame
    hash_before: Mapping[str, str | None]
    defaults: Mapping[str, float]
    removed: pl.DataFrame = field(default_factory=lambda: empty(LIMITS))
    refusing_before: frozenset[str] = frozenset()


def judge(expectation: Expectation, *, seen: Observation, overdue: bool = True) -> Verdict:
    """What one look proves.

    A failed reload is a failure at once, but for pods that refused a file before already: until
    their next reload they say so still. Values that differ are a failure only when it is overdue
    and every pod has another file than before: the other file may be the operator's, or the one
    before ours that came late.

    Args:
        expectation: what was published, and what was before.
        seen: one look at all pods.
        overdue: the time in which every pod should have loaded it is past.
    """
    refused = sorted(state.pod for state in seen.states if state.successful is False)
    if refused and (overdue or not expectation.refusing_before.issuperset(refused)):
        return Failed(detail=f"the reload failed on {', '.join(refused)}; the old file is in force")

    silent = _silent(expectation, seen=seen)
    if silent:
        return Inconclusive(detail=f"not heard of yet: {', '.join(silent)}")
    if seen.values_seen is None:
        return Inconclusive(detail="no pod showed its values")
    return _weighed(expectation, seen=seen, values=seen.values_seen, overdue=overdue)


def put_back(sink: Sink, *, previous: bytes, if_version: str) -> bool:
    """Put the previous document back, if what is there still is what we wrote.

    Args:
        sink: where it was written.
        previous: the document before ours.
        if_version: the version that our write gave.

    Returns:
        False where somebody else has changed it since: theirs is left alone.
    """
    try:
        sink.write(previous, if_version=if_version)
    except Conflict:
        return False
    return True


def _weighed(
    expectation: Expectation, *, seen: Observation, values: pl.DataFrame, overdue: bool
) -> Verdict:
    """Compare the values, once every pod has spoken."""
    states = seen.states
    hashes = {state.sha256 for state in states}
    before = expectation.hash_before
    # A pod that was not seen before proves nothing by having a hash now.
    all_new = all(before.get(state.pod) not in {None, state.sha256} for state in states)

    different = _differences(expectation, values=values)
    if different:
        listed = f"{'; '.join(different[:_NAMED])}{' and more' if different[_NAMED:] else ''}"
        if overdue and all_new and len(hashes) == 1:
            return Failed(detail=f"all {len(states)} pods loaded a new file, but {listed}")
        return Inconclusive(detail=f"not in force yet: {listed}")
    if len(hashes) > 1:
        return Inconclusive(detail=f"the pods have {len(hashes)} different files")

    lingering = 0 if all_new else _still_there(expectation, values=values)
    if lingering:
        return Inconclusive(detail=f"{lingering} removed limits still have their former value")
    return Confirmed(
        evidence=(
            f"{len(states)} pods loaded {(hashes.pop() or '')[:12]} without error; "
            f"{expectation.expected.height} values are in force"
        )
    )


def _silent(expectation: Expectation, *, seen: Observation) -> list[str]:
    heard = {state.pod for state in seen.states if state.successful and state.sha256}
    known = {*expectation.hash_before, *(state.pod for state in seen.states)}
    return sorted(known - heard) or ([] if known else ["any pod"])


def _differences(expectation: Expectation, *, values: pl.DataFrame) -> list[str]:
    """The expected values that are not seen, in words."""
    both = expectation.expected.select("tenant", "limit", "value").join(
        values.select("tenant", "limit", seen="value"), on=["tenant", "limit"], how="left"
    )
    defaults = {limit: float(value) for limit, value in expectation.defaults.items()}
    default = pl.col("limit").replace_strict(defaults, default=None, return_dtype=pl.Float64)
    # Mimir shows what differs from its default only: what is not shown is the default.
    in_force = both.with_columns(seen=pl.coalesce("seen", default))
    wrong = in_force.filter(~_same(pl.col("value"), pl.col("seen")))
    return [
        f"{limit} of {tenant} is {figure(found)}, not {figure(value)}"
        for tenant, limit, value, found in wrong.head(_NAMED + 1).iter_rows()
    ]


def _still_there(expectation: Expectation, *, values: pl.DataFrame) -> int:
    both = expectation.removed.select("tenant", "limit", "value").join(
        values.select("tenant", "limit", seen="value"), on=["tenant", "limit"]
    )
    return both.filter(_same(pl.col("value"), pl.col("seen"))).height


def _same(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    near = (one - other).abs() <= _SAME_WITHIN * pl.max_horizontal(one.abs(), other.abs())
    return near.fill_null(value=False)
