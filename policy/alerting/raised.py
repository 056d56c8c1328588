"""The alerts that follow from what is entered into the audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, islice
from operator import itemgetter
from typing import Final, TypeVar

from policy.alerting.alert import Alert
from policy.alerting.telling import Telling
from policy.alerting.told import TOLD
from policy.audit import AuditEntry
from policy.figures import figure

T = TypeVar("T")

_REASONS: Final = ("reason", "detail", "problems")
_UNTOLD: Final = frozenset({*_REASONS, "acting", "simulated", "severity", "tenants"})
_MOST_NAMED: Final = 10


def alerts_of(entries: Sequence[AuditEntry]) -> Iterator[Alert]:
    """The alerts that follow from what was entered at once, in the order of the entries."""
    for telling, group in groupby(_with_telling(entries), key=itemgetter(0)):
        told = [entry for _, entry in group]
        if telling.together and len(told) > 1:
            yield _together(telling, told)
        else:
            yield from (_alert(telling, entry) for entry in told)


def _with_telling(entries: Sequence[AuditEntry]) -> Iterator[tuple[Telling, AuditEntry]]:
    for entry in entries:
        for telling in TOLD.get(entry.action, ()):
            if telling.when(entry):
                yield telling, entry
                break


def _together(telling: Telling, entries: Sequence[AuditEntry]) -> Alert:
    """One alert of several entries: the first, and how many more there are."""
    first = _alert(telling, entries[0])
    tenants = {entry.tenant for entry in entries}
    return replace(
        first,
        title=f"{first.title}; and {len(entries) - 1:,} more like it",
        tenant=first.tenant if len(tenants) == 1 else None,
        evidence={**first.evidence, "tenants": figure(len(tenants))},
    )


def _alert(telling: Telling, entry: AuditEntry) -> Alert:
    priority = telling.priority if isinstance(telling.priority, str) else telling.priority(entry)
    return Alert(
        at=entry.at,
        kind=telling.kind,
        priority=priority,
        component=telling.component,
        incident=telling.incident(entry),
        title=telling.title(entry),
        reason=_why(entry),
        tenant=entry.tenant,
        evidence=dict(_evidence(entry.details)),
        resolves=telling.resolves,
        lasts=telling.lasts,
        run_id=entry.run_id,
        simulated=entry.details.get("acting") is False or entry.details.get("simulated") is True,
    )


def _why(entry: AuditEntry) -> str:
    for name in _REASONS:
        said = entry.details.get(name)
        if said:
            return "; ".join(map(str, said)) if isinstance(said, list) else str(said)
    return ""


def _evidence(details: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The named figures of an entry, as a person reads them; what is not known is left out."""
    for name, value in details.items():
        if name not in _UNTOLD and value not in (None, "", [], {}):
            yield name.replace("_", " "), _plain(value)


def _plain(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return figure(value)
        case Mapping():
            return ", ".join(f"{name} {_plain(held)}" for name, held in _first(value.items()))
        case list() | tuple():
            return ", ".join(_plain(held) for held in _first(value))
    return str(value)


def _first(values: Iterable[T]) -> Iterator[T]:
    return islice(values, _MOST_NAMED)
