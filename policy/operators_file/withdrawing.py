"""Limits of ours taken out of the operator's file: what stood there comes back.

Where nothing stood our line goes, and the tenant with it where we made it and nothing else is in
it. A tenant of the operator's own is never left without a mapping, because Mimir's
overrides-exporter does not survive that: it gets `{}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from policy.operators_file.claims import Claims
from policy.operators_file.layout import RuntimeFile, explicit
from policy.operators_file.nodes import Entry, MappingNode, Node, ScalarNode
from policy.operators_file.splices import (
    Splice,
    colon_end,
    cut_in_braces,
    end_of,
    lines_cut,
    replaced,
)
from policy.operators_file.writing import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What takes everything out that is ours and no longer wanted.

    Attributes:
        splices: of the text.
        removed: limits by tenant whose entries go.
        restored: by tenant and limit the text that comes back.
        tenants: those whose entries go as a whole.
    """

    splices: tuple[Splice, ...]
    removed: Mapping[str, frozenset[str]]
    restored: Mapping[str, Mapping[str, str]]
    tenants: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tenant:
    """The same for one tenant, in entries; `whole` says that its own goes."""

    entry: Entry
    removed: Mapping[str, Entry]
    restored: Mapping[str, str]
    whole: bool


def withdraw(file: RuntimeFile, *, claims: Claims, wanted: Wanted) -> Withdrawal:
    """The edits that take out what is claimed and not wanted.

    Args:
        file: with everything in it that is wanted.
        claims: those from before the wanted limits were set.
        wanted: what stays ours.

    Raises:
        DocumentError: an entry is written in a way that is not edited.
    """
    ours = {
        tenant: _ours(file.tenants[tenant], tenant=tenant, claims=claims, wanted=wanted)
        for tenant in sorted(claims.before.keys() | claims.tenants)
        if tenant in file.tenants
    }
    whole = {tenant: one.entry for tenant, one in ours.items() if one.whole}
    parts = {tenant: one for tenant, one in ours.items() if not one.whole}
    splices = [
        splice
        for tenant, one in parts.items()
        for splice in _taken(file.text, one, wrapped=tenant in claims.wrapped)
    ]
    if whole:
        splices += _without_tenants(file, whole, made=claims.overrides)
    return Withdrawal(
        splices=tuple(splices),
        removed={tenant: frozenset(one.removed) for tenant, one in parts.items()},
        restored={tenant: one.restored for tenant, one in parts.items()},
        tenants=frozenset(whole),
    )


def _ours(entry: Entry, *, tenant: str, claims: Claims, wanted: Wanted) -> _Tenant:
    """What of a tenant goes; what somebody has removed already is forgotten."""
    held, kept = explicit(entry.value), wanted.get(tenant, {})
    gone = {
        limit: before
        for limit, before in claims.before.get(tenant, {}).items()
        if limit in held and limit not in kept
    }
    removed = {limit: held[limit] for limit, before in gone.items() if before is None}
    return _Tenant(
        entry=entry,
        removed=removed,
        restored={limit: before for limit, before in gone.items() if before is not None},
        whole=tenant in claims.tenants and _is_empty(entry.value, but_for=removed),
    )


def _taken(text: str, one: _Tenant, *, wrapped: bool) -> list[Splice]:
    value = one.entry.value
    if not isinstance(value, MappingNode):
        return []
    held = explicit(value)
    splices = [
        replaced(text, held[limit], before, within=value)
        for limit, before in one.restored.items()
        if text[held[limit].value.start : held[limit].value.end] != before
    ]
    if one.removed:
        doomed = list(one.removed.values())
        splices += _without(text, one.entry, value, doomed=doomed, wrapped=wrapped)
    return splices


def _is_empty(value: Node, *, but_for: Mapping[str, Entry]) -> bool:
    if isinstance(value, MappingNode):
        return len(value.entries) == len(but_for)
    return isinstance(value, ScalarNode)


def _without(
    text: str, entry: Entry, value: MappingNode, *, doomed: Sequence[Entry], wrapped: bool
) -> list[Splice]:
    starts = {one.key.start for one in doomed}
    left = [one for one in value.entries if one.key.start not in starts]
    cuts = [cut for one in doomed for cut in lines_cut(text, one)] if not value.flow else []
    if wrapped and len(left) == 1 and left[0].is_merge:
        around = _wrapping(text, entry, value, kept=left[0])
        # A comment that somebody wrote between them stays, and the merge key with it.
        if not any("#" in text[one.start : one.end] for one in around):
            return [*around, *cuts]
    if value.flow:
        return cut_in_braces(text, value, doomed)
    return cuts if left else [_braces_behind(text, entry), *cuts]


def _wrapping(text: str, entry: Entry, value: MappingNode, *, kept: Entry) -> list[Splice]:
    """Cuts of what stands around the value behind a merge key since we put it there."""
    if value.flow:
        return [Splice(value.start, kept.value.start), Splice(kept.value.end, value.end)]
    return [Splice(colon_end(text, entry), colon_end(text, kept))]


def _without_tenants(
    file: RuntimeFile, tenants: Mapping[str, Entry], *, made: bool
) -> list[Splice]:
    # The file holds these tenants, so it has a mapping that holds them.
    root, overrides = cast("MappingNode", file.root), cast("Entry", file.overrides)
    if made and len(tenants) == len(file.tenants):
        return _without_overrides(file.text, root, overrides)
    value = cast("MappingNode", overrides.value)
    return _without(file.text, overrides, value, doomed=list(tenants.values()), wrapped=False)


def _without_overrides(text: str, root: MappingNode, overrides: Entry) -> list[Splice]:
    if root.flow:
        return cut_in_braces(text, root, [overrides])
    if len(root.entries) > 1:
        return lines_cut(text, overrides)

    # Never an empty file, which Mimir takes for no overrides at all without a word.
    value = overrides.value
    if isinstance(value, MappingNode) and not value.flow:
        start, end = overrides.key.start, colon_end(text, overrides)
        inner = [cut for one in value.entries for cut in lines_cut(text, one)]
        return [Splice(start, end, "{}"), *inner]
    return [Splice(overrides.key.start, end_of(overrides), "{}")]


def _braces_behind(text: str, entry: Entry) -> Splice:
    at = colon_end(text, entry)
    return Splice(at, at, " {}")
