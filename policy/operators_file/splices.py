"""Cuts and insertions in the text of a runtime file, line by line or inside of braces.

Whole lines come and go in a block mapping: a line that is inserted and taken away again leaves
the text as it was, line ends and a missing last one included. Inside of braces it is an entry
with the comma before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from policy.document import DocumentError
from policy.operators_file.nodes import Entry, MappingNode

_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what ends a line in YAML
_BREAKS: Final = "\n\r\x85\u2028\u2029"
_COLON: Final = re.compile(r"[ \t]*:")
_COMMENT: Final = re.compile(r"( *)#")
_COMMA_ALONE: Final = re.compile(r"\s*,\s*")
_NEXT_COMMA: Final = re.compile(r"\s*,")
_REST: Final = re.compile(r"[ \t]*(?=[\r\n])")  # of a line on which nothing follows


@dataclass(frozen=True, slots=True)
class Splice:
    """The characters from `start` to before `end` become `text`."""

    start: int
    end: int
    text: str = ""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with all splices made; those at one place in their order."""
    pieces: list[str] = []
    done = 0
    for splice in sorted(splices, key=lambda one: (one.start, one.end)):
        pieces += text[done : splice.start], splice.text
        done = splice.end
    return "".join((*pieces, text[done:]))


def newline(text: str) -> str:
    """How the lines of the text end: as its first."""
    found = _BREAK.search(text)
    return "\n" if found is None else found[0]


def colon_end(text: str, entry: Entry) -> int:
    """The index after the colon of an entry.

    Raises:
        DocumentError: the entry has none behind its key.
    """
    found = _COLON.match(text, entry.key.end)
    if found is None:
        raise DocumentError(
            f"line {entry.key.line}: this entry cannot be edited; write it as `key: value`"
        )
    return found.end()


def line_end(text: str, at: int) -> int:
    """The index after the line break that ends what ends at `at`."""
    if at > 0 and text[at - 1] in _BREAKS:  # a literal block ends with its last line
        return at
    found = _BREAK.search(text, at)
    return len(text) if found is None else found.end()


def lines_inserted(text: str, lines: Sequence[str], *, at: int) -> Splice:
    """The lines, at the beginning of a line or at the end of the text."""
    end = text[_without_break(text, at) : at]
    if at == 0 or end:
        # In a file of mixed line ends: as the line before, whose end may go with ours again.
        return Splice(at, at, "".join(line + (end or newline(text)) for line in lines))
    return Splice(at, at, "".join(newline(text) + line for line in lines))


def after_entry(text: str, entry: Entry) -> int:
    """Where the line after those of an entry begins: its comments below are not its lines."""
    return line_end(text, end_of(entry))


def after_entry_and_its_comments(text: str, entry: Entry) -> int:
    """The same after the comment lines that follow at once and are indented more than the key."""
    at = after_entry(text, entry)
    while (found := _COMMENT.match(text, at)) and len(found[1]) > entry.key.column:
        at = line_end(text, found.end())
    return at


def end_of(entry: Entry) -> int:
    """The index after an entry, a value of nothing included."""
    return max(entry.key.end, entry.value.end)


def replaced(text: str, entry: Entry, value: str, *, within: MappingNode) -> Splice:
    """The text of an entry's value, which may be nothing before and nothing after."""
    start, end = entry.value.start, entry.value.end
    if within.flow or (start < end and value):
        return Splice(start, end, value)
    # The space between colon and value comes and goes with the value.
    return Splice(colon_end(text, entry), end, f" {value}" if value else "")


def lines_cut(text: str, entry: Entry) -> list[Splice]:
    """The lines of an entry of a block mapping cut out, comment lines between them not."""
    value = entry.value
    if isinstance(value, MappingNode) and not value.flow:
        first = _lines_cut(text, entry, end=entry.key.end)
        return [first, *(cut for inner in value.entries for cut in lines_cut(text, inner))]
    return [_lines_cut(text, entry, end=end_of(entry))]


def _lines_cut(text: str, entry: Entry, *, end: int) -> Splice:
    start, end = entry.key.start - entry.key.column, line_end(text, end)
    if start == 0 or text[-1] in _BREAKS:
        return Splice(start, end)
    # The last line of the text has no end: each line goes with the end of the line before it.
    return Splice(_without_break(text, start), _without_break(text, end))


def _without_break(text: str, at: int) -> int:
    if text.endswith("\r\n", 0, at):
        return at - 2
    return at - 1 if at > 0 and text[at - 1] in _BREAKS else at


def added_in_braces(text: str, mapping: MappingNode, items: Sequence[str]) -> Splice:
    """The items, each `key: value`, behind the last entry of a flow mapping."""
    if not mapping.entries:
        at = text.index("{", mapping.start) + 1
        return Splice(at, at, ", ".join(items))

    last = mapping.entries[-1]
    at, indent = end_of(last), text[last.key.start - last.key.column : last.key.start]
    own_line = not indent.strip(" \t") and bool(_REST.match(text, at))
    separator = f",{newline(text)}{indent}" if own_line else ", "
    return Splice(at, at, "".join(separator + item for item in items))


def cut_in_braces(text: str, mapping: MappingNode, entries: Sequence[Entry]) -> list[Splice]:
    """The entries cut out of a flow mapping, each run of them with one comma."""
    doomed = {entry.key.start for entry in entries}
    runs = [
        (gone, list(run))
        for gone, run in groupby(mapping.entries, key=lambda entry: entry.key.start in doomed)
    ]
    cuts = []
    for number, (gone, run) in enumerate(runs):
        if gone:
            before = end_of(runs[number - 1][1][-1]) if number else None
            after = runs[number + 1][1][0].key.start if number + 1 < len(runs) else None
            cuts.append(_run_cut(text, run, before=before, after=after))
    return cuts


def _run_cut(text: str, run: Sequence[Entry], *, before: int | None, after: int | None) -> Splice:
    start, end = run[0].key.start, end_of(run[-1])
    if before is not None and _COMMA_ALONE.fullmatch(text, before, start):
        return Splice(before, end)
    if after is not None and _COMMA_ALONE.fullmatch(text, end, after):
        return Splice(start, after)
    comma = _NEXT_COMMA.match(text, end)
    return Splice(start, end if comma is None else comma.end())
