"""What the operator's runtime file holds: tenants, their limits, and whatever is not ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from math import isfinite
from typing import Final

from policy.document import OVERRIDES, DocumentError
from policy.operators_file.nodes import (
    AliasNode,
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    composed,
)

Limits = Mapping[str, str]  # what each limit means, merge keys resolved

_NUMBER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFile:
    """The file, read.

    Attributes:
        text: without a byte order mark; what the places of all nodes count in.
        root: None where the file is empty, holds only comments, or null.
        null_root: the null that is written out as the whole file, else None.
        overrides: the entry of that name at the top, None where there is none.
        tenants: entries by tenant, each a mapping, an alias of one, or null.
        shared: where the nodes start whose anchor an alias names.
    """

    text: str
    root: MappingNode | None
    null_root: ScalarNode | None
    overrides: Entry | None
    tenants: Mapping[str, Entry]
    shared: frozenset[int]

    def line_of(self, tenant: str) -> int:
        """The line of a tenant, else of `overrides`, else the first."""
        entry = self.tenants.get(tenant, self.overrides)
        return 1 if entry is None else entry.key.line


def read(text: str) -> RuntimeFile:
    """The file of this text, without a byte order mark.

    Raises:
        DocumentError: Mimir would refuse it, or it is written in a way that is not edited.
    """
    whole = composed(text)
    root, null = whole.root, None
    if isinstance(root, ScalarNode) and root.is_null:
        root, null = None, root
    if root is not None and not isinstance(root, MappingNode):
        raise DocumentError(
            f"line {root.line}: the file must be a mapping with `{OVERRIDES}:` in it"
        )

    top = {} if root is None else _named(root, where="at the top of the file")
    overrides = top.get(OVERRIDES)
    tenants = {} if overrides is None else _tenants(overrides.value)
    return RuntimeFile(
        text=text,
        root=root,
        null_root=null,
        overrides=overrides,
        tenants=tenants,
        shared=whole.shared,
    )


def explicit(node: Node) -> dict[str, Entry]:
    """The limits that a tenant's entry itself holds; none for an alias and for null."""
    if not isinstance(node, MappingNode):
        return {}
    return {entry.name: entry for entry in node.entries if not entry.is_merge}


def number(node: Node) -> float | None:
    """The plain number of a limit, also behind an alias; None for anything else."""
    if isinstance(node, AliasNode):
        node = node.target
    if not isinstance(node, ScalarNode) or node.style or not _NUMBER.fullmatch(node.value):
        return None
    value = float(node.value)
    return value if isfinite(value) else None


def foreign(file: RuntimeFile) -> dict[str, str]:
    """What everything beside the overrides means, by its key at the top."""
    entries = () if file.root is None else file.root.entries
    return {entry.name: entry.value.meaning for entry in entries if entry.name != OVERRIDES}


def resolved(
    file: RuntimeFile, *, without: Mapping[str, AbstractSet[str]] | None = None
) -> dict[str, Limits]:
    """What applies to each tenant.

    Args:
        file: the file.
        without: limits by tenant whose explicit entries are left out.

    Raises:
        DocumentError: a merge key merges something else than mappings.
    """
    known: dict[int, Limits] = {}
    left_out = without or {}
    return {
        tenant: _limits(entry.value, known=known, without=left_out.get(tenant, frozenset()))
        for tenant, entry in file.tenants.items()
    }


def _limits(
    node: Node, *, known: dict[int, Limits], without: AbstractSet[str] = frozenset()
) -> Limits:
    if isinstance(node, AliasNode):
        node = node.target
    if not isinstance(node, MappingNode):
        return {}
    if not without and id(node) in known:
        return known[id(node)]

    limits: dict[str, str] = {}
    for entry in node.entries:
        if entry.is_merge:
            for source in _merged(entry.value):
                limits = {**_limits(source, known=known), **limits}
    for name, entry in explicit(node).items():
        if name not in without:
            limits[name] = entry.value.meaning
    if not without:
        known[id(node)] = limits
    return limits


def _merged(node: Node) -> tuple[Node, ...]:
    """The mappings that a merge key names, the strongest first; Mimir takes no alias of a list."""
    sources = node.items if isinstance(node, SequenceNode) else (node,)
    for source in sources:
        _require_mapping(source, what="what << merges", at=node.line)
    return sources


def _tenants(node: Node) -> dict[str, Entry]:
    if isinstance(node, ScalarNode) and node.is_null:
        return {}
    if isinstance(node, AliasNode):
        raise DocumentError(
            f"line {node.line}: {OVERRIDES!r} is an alias, which is not edited; write the tenants"
        )
    if not isinstance(node, MappingNode):
        raise DocumentError(f"line {node.line}: {OVERRIDES!r} must be a mapping of tenants")
    tenants = _named(node, where="among the tenants")
    for tenant, entry in tenants.items():
        value = entry.value
        if not (isinstance(value, ScalarNode) and value.is_null):
            _require_mapping(value, what=f"tenant {tenant!r}", at=value.line)
    return tenants


def _named(node: MappingNode, *, where: str) -> dict[str, Entry]:
    for entry in node.entries:
        if entry.is_merge:
            raise DocumentError(
                f"line {entry.key.line}: << {where} is not edited; write out what it merges"
            )
    return {entry.name: entry for entry in node.entries}


def _require_mapping(node: Node, *, what: str, at: int) -> None:
    value = node.target if isinstance(node, AliasNode) else node
    if not isinstance(value, MappingNode):
        raise DocumentError(f"line {at}: {what} must be a mapping of limits")
