"""Where in a YAML text a setting is written, so that a fault can be shown its line.

The keys of faults are canonical, those of the text may be spelled in any accepted way. What is not
written is found at the nearest thing around it that is.
"""

from __future__ import annotations

from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from policy.settings import Settings
from policy.settings.schema import PLAIN, Shape, shapes
from policy.settings.section import Section, fold, spellings

_ALL: Final = Shape(container="one", section=Settings)


def place(text: str, key: str) -> str:
    """`line 7, column 22` of what is written under the key, or around it; empty where nothing is.

    Args:
        text: one YAML document.
        key: as a Problem has it: `costControl.prices[0].perQuery`.
    """
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError:
        return ""
    found = _found(root, key, shape=_ALL, mark=None)
    return "" if found is None else f"line {found.line + 1}, column {found.column + 1}"


def _found(node: Node, rest: str, *, shape: Shape, mark: StreamMark | None) -> StreamMark | None:
    """The mark of what the rest of the key leads to; `mark` is that of the node."""
    if not rest:
        return node.start_mark if isinstance(node, ScalarNode) else mark
    if isinstance(node, SequenceNode) and rest.startswith("["):
        number, _, below = rest[1:].partition("]")
        if int(number) < len(node.value):
            item, entry = node.value[int(number)], Shape(container="one", section=shape.section)
            return _found(item, below.removeprefix("."), shape=entry, mark=item.start_mark)
    if isinstance(node, MappingNode):
        for key, value in node.value:
            for name in _names(str(key.value), shape):
                below = rest.removeprefix(name)
                if below != rest and (not below or below[0] in ".["):
                    return _found(
                        value,
                        below.removeprefix("."),
                        shape=_below(shape, name),
                        mark=key.start_mark,
                    )
    return mark


def _names(written: str, shape: Shape) -> set[str]:
    """How the key may be called in a fault: as it is written, or canonically."""
    canonical = spellings(_section(shape)).get(fold(written)) if _section(shape) else None
    return {written} if canonical is None else {canonical, written}


def _below(shape: Shape, name: str) -> Shape:
    section = _section(shape)
    if section is None:
        return Shape(container="one", section=shape.section)  # an entry of a map
    return shapes(section).get(name, PLAIN)


def _section(shape: Shape) -> type[Section] | None:
    return shape.section if shape.container == "one" else None
