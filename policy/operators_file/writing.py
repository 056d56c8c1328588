"""How limits and tenants are written into the operator's file, as the lines around them are.

In a block mapping they become lines, behind those of the last entry and before the comments that
follow; in braces they become entries in quotes, so that JSON stays JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from policy.document import OVERRIDES, DocumentError
from policy.operators_file.layout import RuntimeFile
from policy.operators_file.nodes import MERGE, Entry, MappingNode
from policy.operators_file.splices import (
    Splice,
    added_in_braces,
    after_entry,
    after_entry_and_its_comments,
    colon_end,
    line_end,
    lines_inserted,
    newline,
    replaced,
)

Wanted = Mapping[str, Mapping[str, str]]  # by tenant and limit, each number as it is written

_STEP: Final = 2  # columns, where the file shows no indentation of its own


def written(
    file: RuntimeFile, entry: Entry, pending: Mapping[str, str], *, held: Mapping[str, Entry]
) -> Iterator[Splice]:
    """The limits in the entry of a tenant, which is a mapping or null.

    Args:
        file: the file.
        entry: of the tenant.
        pending: limits and their numbers.
        held: the limits that the entry holds.
    """
    value, text = entry.value, file.text
    if not isinstance(value, MappingNode):
        lines = _limit_lines(pending, column=entry.key.column + _step(file))
        yield from _filled(text, entry, lines=lines, braces=_braces(pending), within=_flow(file))
        return

    for limit, number_text in pending.items():
        if limit in held:
            yield replaced(text, held[limit], number_text, within=value)
    fresh = {limit: number_text for limit, number_text in pending.items() if limit not in held}
    if fresh and value.flow:
        yield added_in_braces(text, value, _items(fresh))
    elif fresh:
        lines = _limit_lines(fresh, column=value.entries[0].key.column)
        yield lines_inserted(text, lines, at=after_entry(text, value.entries[-1]))


def wrapped(file: RuntimeFile, entry: Entry, limits: Mapping[str, str]) -> Iterator[Splice]:
    """The value of a tenant behind a merge key, where it stands, and the limits beside it.

    Raises:
        DocumentError: there is no room for the merge key.
    """
    value, text = entry.value, file.text
    block = isinstance(value, MappingNode) and not value.flow
    if _flow(file) or not (block or value.line == entry.key.line):
        yield Splice(value.start, value.start, f"{{{MERGE}: ")
        yield Splice(value.end, value.end, "".join(f", {item}" for item in _items(limits)) + "}")
        return

    column = entry.key.column + _step(file)
    if isinstance(value, MappingNode) and block:
        # Between the key and its limits, so that none of their lines has to move.
        column = (entry.key.column + value.entries[0].key.column) // 2
        if column == entry.key.column:
            raise DocumentError(
                f"line {entry.key.line}: others use the limits of tenant {entry.name!r} by an "
                "anchor, and they stand one column behind it; indent them by two, or write out "
                "what the others use"
            )
    after = colon_end(text, entry)
    yield Splice(after, after, f"{newline(text)}{' ' * column}{MERGE}:")
    lines = _limit_lines(limits, column=column)
    yield lines_inserted(text, lines, at=line_end(text, value.end))


def tenants_added(file: RuntimeFile, added: Wanted) -> list[Splice]:
    """Entries of tenants that the file does not hold, and its `overrides` where that is missing."""
    text, entry = file.text, file.overrides
    if entry is None:
        return list(_overrides_added(file, added))

    value = entry.value
    braces = "{" + ", ".join(_tenant_items(added)) + "}"
    within = file.root is not None and file.root.flow
    lines = _tenant_lines(file, added, column=entry.key.column + _STEP)
    if not isinstance(value, MappingNode):
        return list(_filled(text, entry, lines=lines, braces=braces, within=within))
    if not within and text[entry.key.end : value.end] == ": {}":
        return list(_filled(text, entry, lines=lines, braces=braces, within=within))
    if value.flow:
        return [added_in_braces(text, value, _tenant_items(added))]
    lines = _tenant_lines(file, added, column=value.entries[0].key.column)
    return [lines_inserted(text, lines, at=after_entry_and_its_comments(text, value.entries[-1]))]


def _overrides_added(file: RuntimeFile, added: Wanted) -> Iterator[Splice]:
    text, root = file.text, file.root
    key = f"{OVERRIDES}:"
    whole = [key, *_tenant_lines(file, added, column=_STEP)]
    if root is not None and not root.flow:
        indent, last = " " * root.entries[0].key.column, root.entries[-1]
        at = after_entry_and_its_comments(text, last)
        yield lines_inserted(text, [indent + line for line in whole], at=at)
    elif root is not None and not (root.column == 0 and text[root.start : root.end] == "{}"):
        braces = "{" + ", ".join(_tenant_items(added)) + "}"
        yield added_in_braces(text, root, [f'"{OVERRIDES}": {braces}'])
    elif (nothing := root or file.null_root) is not None and nothing.start < nothing.end:
        yield Splice(nothing.start, nothing.end, key)
        yield lines_inserted(text, whole[1:], at=line_end(text, nothing.end))
    else:
        yield lines_inserted(text, whole, at=len(text))


def _filled(
    text: str, entry: Entry, *, lines: list[str], braces: str, within: bool
) -> Iterator[Splice]:
    """A mapping where nothing stood: lines, or `within` braces what `braces` says."""
    value, after = entry.value, colon_end(text, entry)
    if not within and value.line == entry.key.line:
        yield Splice(after, value.end)
        yield lines_inserted(text, lines, at=line_end(text, value.end))
    else:
        yield Splice(value.start, value.end, braces if value.start > after else f" {braces}")


def _tenant_lines(file: RuntimeFile, added: Wanted, *, column: int) -> list[str]:
    below = column + _step(file)
    return [
        line
        for tenant, limits in added.items()
        for line in (f"{' ' * column}{_quoted(tenant)}:", *_limit_lines(limits, column=below))
    ]


def _limit_lines(limits: Mapping[str, str], *, column: int) -> list[str]:
    return [f"{' ' * column}{limit}: {text}" for limit, text in limits.items()]


def _tenant_items(added: Wanted) -> list[str]:
    return [f"{_quoted(tenant)}: {_braces(limits)}" for tenant, limits in added.items()]


def _braces(limits: Mapping[str, str]) -> str:
    return "{" + ", ".join(_items(limits)) + "}"


def _items(limits: Mapping[str, str]) -> list[str]:
    return [f"{_quoted(limit)}: {text}" for limit, text in limits.items()]


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _flow(file: RuntimeFile) -> bool:
    """Whether the tenants stand in braces."""
    value = None if file.overrides is None else file.overrides.value
    return isinstance(value, MappingNode) and value.flow


def _step(file: RuntimeFile) -> int:
    """By how many columns limits stand behind their tenant."""
    for entry in file.tenants.values():
        if isinstance(entry.value, MappingNode) and not entry.value.flow:
            return entry.value.entries[0].key.column - entry.key.column
    return _STEP
