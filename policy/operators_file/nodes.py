"""YAML text as nodes that know where in the text they stand, to the character.

The text is never written again from these nodes: they say where to cut and where to insert. An
alias is a node of its own here, with its own place. Read with libyaml, of which Mimir's parser
is a port, so both refuse the same. Refused on top: a second document, a key that appears twice,
an alias that names no anchor or the one that it stands in.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypedDict

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)
from ruamel.yaml.reader import ReaderError

from policy.document import DocumentError

BYTE_ORDER_MARK: Final = "\ufeff"
MERGE: Final = "<<"

_DEEPEST: Final = 64  # a runtime file nests five deep; what walks the nodes may then recurse
_NULLS: Final = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value and its place.

    Attributes:
        start: index of its first character, of its anchor or tag where it has one.
        end: index after its last character; of a block mapping or sequence, that of its last
            entry.
        line: of `start`, the first is 1.
        column: of `start`, the first is 0.
        meaning: the same for nodes that mean the same, however they are written; merge keys are
            not resolved in it.
    """

    start: int
    end: int
    line: int
    column: int
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode(Node):
    """A scalar; `style` is empty for a plain one, and `bare` says no anchor and no tag."""

    value: str
    style: str
    bare: bool

    @property
    def is_null(self) -> bool:
        """Whether it is one of the spellings of nothing."""
        return self.style == "" and self.bare and self.value in _NULLS


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key and its value."""

    key: Node
    value: Node

    @property
    def name(self) -> str:
        """The key as it is spelled.

        Raises:
            DocumentError: the key is no scalar.
        """
        if not isinstance(self.key, ScalarNode):
            raise DocumentError(f"line {self.key.line}: a key must be a plain name; write it out")
        return self.key.value

    @property
    def is_merge(self) -> bool:
        """Whether it merges other mappings into its own."""
        key = self.key
        return isinstance(key, ScalarNode) and key.style == "" and key.value == MERGE


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode(Node):
    """A mapping; `flow` says in braces."""

    flow: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceNode(Node):
    """A sequence."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasNode(Node):
    """A place that names the anchor of `target`."""

    target: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The one document of a text.

    Attributes:
        root: None where the text holds nothing, or only comments.
        shared: where the nodes start whose anchor an alias names.
    """

    root: Node | None
    shared: frozenset[int]


def plain_meaning(text: str) -> str:
    """The meaning of a plain scalar without a tag."""
    return f"= {text}"


def composed(text: str) -> Composed:
    """The nodes of a text without a byte order mark.

    Raises:
        DocumentError: Mimir would refuse it.
    """
    if text.startswith(BYTE_ORDER_MARK):  # which the parser would skip and not count
        raise DocumentError("line 1: a second byte order mark at the start; remove it")
    builder = _Builder()
    for event in _events(text):
        builder.take(event)
    return Composed(root=builder.root, shared=frozenset(builder.shared))


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe").parse(io.StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError(f"line {line}: no YAML that Mimir reads: {error.problem}") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"line {line}: no YAML that Mimir reads: {error.reason}") from error
    except (YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise DocumentError(f"no YAML that Mimir reads: {reason}") from error


@dataclass(slots=True)
class _Builder:
    """Nodes out of events, without recursion."""

    root: Node | None = None
    shared: set[int] = field(default_factory=set)
    _documents: int = 0
    _open: list[tuple[CollectionStartEvent, list[Node]]] = field(default_factory=list)
    _anchors: dict[str, Node | None] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        match event:
            case DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise DocumentError(
                        f"line {_line(event)}: a second document, of which Mimir reads none; "
                        "keep one"
                    )
            case AliasEvent():
                self._add(self._alias(event))
            case ScalarEvent():
                self._finish(event, _scalar(event))
            case CollectionStartEvent():
                self._begin(event)
            case CollectionEndEvent():
                begun, children = self._open.pop()
                end = int(event.end_mark.index)
                self._finish(begun, _collection(begun, children=children, end=end))

    def _begin(self, event: CollectionStartEvent) -> None:
        if len(self._open) == _DEEPEST:
            raise DocumentError(
                f"line {_line(event)}: nested more than {_DEEPEST} deep; flatten it"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append((event, []))

    def _finish(self, begun: NodeEvent, node: Node) -> None:
        if begun.anchor is not None:
            self._anchors[begun.anchor] = node
        self._add(node)

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        else:
            self.root = node

    def _alias(self, event: AliasEvent) -> AliasNode:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise DocumentError(
                f"line {_line(event)}: *{event.anchor} names no anchor that is complete before it; "
                "write the value"
            )
        self.shared.add(target.start)
        end = int(event.end_mark.index)
        return AliasNode(**_place(event), end=end, meaning=target.meaning, target=target)


def _scalar(event: ScalarEvent) -> ScalarNode:
    style = event.style or ""
    tag = "" if event.tag is None else str(event.tag)
    kind = '"' if style or tag else "="
    return ScalarNode(
        **_place(event),
        end=int(event.end_mark.index),
        meaning=f"{kind}{tag} {event.value}",
        value=event.value,
        style=style,
        bare=event.anchor is None and not tag,
    )


def _collection(begun: CollectionStartEvent, *, children: list[Node], end: int) -> Node:
    flow = bool(begun.flow_style)
    # The events of a block end at the token that comes next, comments later.
    end = end if flow or not children else max(child.end for child in children[-2:])
    if not isinstance(begun, MappingStartEvent):
        meaning = _digest("[", begun.tag, *(child.meaning for child in children))
        return SequenceNode(**_place(begun), end=end, meaning=meaning, items=tuple(children))
    entries = tuple(
        Entry(key=key, value=value)
        for key, value in zip(children[::2], children[1::2], strict=True)
    )
    _refuse_duplicates(entries)
    ordered = sorted(f"{_spelled(entry.key)} {entry.value.meaning}" for entry in entries)
    meaning = _digest("{", begun.tag, *ordered)
    return MappingNode(**_place(begun), end=end, meaning=meaning, flow=flow, entries=entries)


def _refuse_duplicates(entries: tuple[Entry, ...]) -> None:
    seen: set[str] = set()
    for entry in entries:
        spelled = _spelled(entry.key)
        if spelled in seen:
            name = repr(entry.key.value) if isinstance(entry.key, ScalarNode) else "a key"
            raise DocumentError(
                f"line {entry.key.line}: {name} appears twice, which Mimir refuses; remove one"
            )
        seen.add(spelled)


def _spelled(key: Node) -> str:
    """What a key is compared by: Mimir takes a quoted 123 and a bare one for the same."""
    return f"'{key.value}" if isinstance(key, ScalarNode) else key.meaning


def _digest(kind: str, tag: object, *parts: str) -> str:
    return hashlib.sha256(repr((kind, tag and str(tag), parts)).encode()).hexdigest()


class _Place(TypedDict):
    start: int
    line: int
    column: int


def _place(event: Event) -> _Place:
    mark = event.start_mark
    return _Place(start=int(mark.index), line=_line(event), column=int(mark.column))


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1
