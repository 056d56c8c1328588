"""Limits of ours set in the operator's file: which are written, and what stood there.

A limit that stands there already is claimed and left as it is written. A tenant whose limits
others use too, by an alias or an anchor, is put behind a merge key of its own and gets our limits
beside it: `<<` keeps the anchor where it was, and nobody else's limits change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from policy.document import DocumentError
from policy.operators_file.claims import Claims
from policy.operators_file.layout import RuntimeFile, explicit, number
from policy.operators_file.nodes import AliasNode, Entry, Node, ScalarNode
from policy.operators_file.splices import Splice
from policy.operators_file.writing import Wanted, tenants_added, wrapped, written

_BLOCKS_OF_TEXT: Final = ("|", ">")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What makes the wanted limits stand in a file.

    Attributes:
        splices: of the text.
        written: the limits that are written, by tenant.
        claims: on the wanted limits alone.
    """

    splices: tuple[Splice, ...]
    written: Wanted
    claims: Claims


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tenant:
    """The same for a tenant that the file holds; `before` as in `Claims`."""

    splices: Iterable[Splice]
    written: Mapping[str, str]
    before: Mapping[str, str | None]
    wrapped: bool


def set_limits(file: RuntimeFile, *, claims: Claims, wanted: Wanted) -> Setting:
    """The edits that set the wanted limits.

    Raises:
        DocumentError: an entry is written in a way that is not edited.
    """
    known = {
        tenant: _set(file, file.tenants[tenant], limits, known=claims.before.get(tenant, {}))
        for tenant, limits in wanted.items()
        if tenant in file.tenants
    }
    added = {tenant: limits for tenant, limits in wanted.items() if tenant not in known}
    now_wrapped = {tenant for tenant, one in known.items() if one.wrapped}
    return Setting(
        splices=(
            *(splice for one in known.values() for splice in one.splices),
            *(tenants_added(file, added) if added else ()),
        ),
        written={**{tenant: one.written for tenant, one in known.items()}, **added},
        claims=Claims(
            before={
                **{tenant: one.before for tenant, one in known.items()},
                **{tenant: dict.fromkeys(limits) for tenant, limits in added.items()},
            },
            tenants=frozenset(added.keys() | (known.keys() & claims.tenants)),
            wrapped=frozenset(now_wrapped | (known.keys() & claims.wrapped)),
            overrides=bool(wanted) and (claims.overrides or file.overrides is None),
        ),
    )


def _set(
    file: RuntimeFile,
    entry: Entry,
    limits: Mapping[str, str],
    *,
    known: Mapping[str, str | None],
) -> _Tenant:
    held = explicit(entry.value)
    pending = {
        limit: text
        for limit, text in limits.items()
        if limit not in held or number(held[limit].value) != float(text)
    }
    if pending and _is_shared(file, entry.value, held=held, pending=pending):
        return _Tenant(
            splices=wrapped(file, entry, limits),
            written=limits,
            before=dict.fromkeys(limits),
            wrapped=True,
        )
    before = {
        limit: known[limit] if limit in known and limit in held else _standing(file, held, limit)
        for limit in limits
    }
    splices = written(file, entry, pending, held=held) if pending else ()
    return _Tenant(splices=splices, written=pending, before=before, wrapped=False)


def _is_shared(
    file: RuntimeFile, value: Node, *, held: Mapping[str, Entry], pending: Mapping[str, str]
) -> bool:
    touched = (value, *(held[limit].value for limit in pending if limit in held))
    return isinstance(value, AliasNode) or any(node.start in file.shared for node in touched)


def _standing(file: RuntimeFile, held: Mapping[str, Entry], limit: str) -> str | None:
    """The text of a limit's value, None where the limit does not stand there."""
    if limit not in held:
        return None
    value = held[limit].value
    plain = isinstance(value, ScalarNode) and value.style not in _BLOCKS_OF_TEXT
    if plain or isinstance(value, AliasNode):
        return file.text[value.start : value.end]
    raise DocumentError(
        f"line {value.line}: {limit} is written as a list, a mapping or a block of text; write it "
        "as a number"
    )
