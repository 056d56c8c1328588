"""The shape of the settings, walked by key: what a key holds, where it lies, what is near it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from policy.settings.section import Section, aliases, fold, spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a key holds: one value, a list or a map; of sections, or of plain values (None)."""

    container: Literal["one", "list", "map"]
    section: type[Section] | None = None


PLAIN: Final = Shape(container="one")


@cache
def shapes(section: type[Section]) -> Mapping[str, Shape]:
    """What each key of the section holds, by canonical key."""
    return {
        alias: _shape(section.model_fields[name].annotation)
        for name, alias in aliases(section).items()
    }


def _shape(annotation: object) -> Shape:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(args[0])
    if origin in {Union, UnionType}:
        return _shape(next(arg for arg in args if arg is not NoneType))
    if origin is tuple:
        return Shape(container="list", section=_shape(args[0]).section)
    if origin is dict:
        return Shape(container="map", section=_shape(args[1]).section)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Shape(container="one", section=annotation)
    return PLAIN


def respelled(section: type[Section], tree: object) -> object:
    """The tree with every known key at every depth in its canonical spelling and shape."""
    tree = section.respelled(tree)
    if not isinstance(tree, Mapping):
        return tree
    known = shapes(section)
    return {
        key: _respelled_value(known[key], value) if key in known else value
        for key, value in tree.items()
    }


def _respelled_value(shape: Shape, value: object) -> object:
    if shape.section is None:
        return value
    if shape.container == "list" and isinstance(value, list | tuple):
        return [respelled(shape.section, item) for item in value]
    if shape.container == "map" and isinstance(value, Mapping):
        return {name: respelled(shape.section, item) for name, item in value.items()}
    return respelled(shape.section, value) if shape.container == "one" else value


def located(section: type[Section], parts: Sequence[str]) -> tuple[tuple[str, ...], Shape] | None:
    """The canonical path that the parts of a dotted key name, and what lies there.

    A name in a map may itself hold dots; the longest name whose rest is a known key wins.
    None when the key is unknown.
    """
    head, *rest = parts
    alias = spellings(section).get(fold(head))
    if alias is None:
        return None
    shape = shapes(section)[alias]
    if not rest:
        return (alias,), shape
    if shape.container == "map":
        return _located_entry(shape, alias, rest)
    if shape.section is None:
        return None
    if shape.container == "list":
        # No place of a list has a key of its own; `*` stands for all of them.
        below = located(shape.section, rest[1:]) if rest[0] == "*" and rest[1:] else None
        return None if below is None else ((alias, "*", *below[0]), below[1])
    below = located(shape.section, rest)
    return None if below is None else ((alias, *below[0]), below[1])


def _located_entry(shape: Shape, alias: str, rest: Sequence[str]) -> tuple[tuple[str, ...], Shape]:
    if shape.section is not None:
        for cut in range(len(rest) - 1, 0, -1):
            below = located(shape.section, rest[cut:])
            if below is not None:
                return (alias, ".".join(rest[:cut]), *below[0]), below[1]
    return (alias, ".".join(rest)), Shape(container="one", section=shape.section)


def pattern_of(section: type[Section], path: Sequence[str]) -> str:
    """The key, as `leaf_keys` writes it, that a located path is an instance of."""
    head, *rest = path
    shape = shapes(section)[head]
    if shape.section is None or not rest:
        return head
    if shape.container == "one":
        return f"{head}.{pattern_of(shape.section, rest)}"
    below = f".{pattern_of(shape.section, rest[1:])}" if rest[1:] else ""
    return f"{head}.*{below}"


def leaf_keys(section: type[Section]) -> Iterator[str]:
    """Every dotted key that holds a value; `*` stands for names in maps and places in lists."""
    for alias, shape in shapes(section).items():
        if shape.section is None:
            yield alias
        else:
            star = "" if shape.container == "one" else ".*"
            yield from (f"{alias}{star}.{key}" for key in leaf_keys(shape.section))


def written_keys(section: type[Section], tree: object) -> Iterator[str]:
    """Every dotted key that a respelled tree writes, with the names in its maps.

    A list is one key; so is what is unknown.
    """
    if not isinstance(tree, Mapping):
        return
    for key, value in tree.items():
        shape = shapes(section).get(key, PLAIN)
        if shape.container == "map" and isinstance(value, Mapping) and value:
            for name, item in value.items():
                yield from _written_below(f"{key}.{name}", shape.section, item)
        elif shape.container == "one":
            yield from _written_below(str(key), shape.section, value)
        else:
            yield str(key)


def _written_below(key: str, section: type[Section] | None, value: object) -> Iterator[str]:
    if section is None or not isinstance(value, Mapping) or not value:
        yield key
    else:
        yield from (f"{key}.{below}" for below in written_keys(section, value))


def section_at(section: type[Section], path: Sequence[str | int]) -> type[Section] | None:
    """The section that a path of canonical keys, map names and list places leads to."""
    if not path:
        return section
    shape = shapes(section).get(str(path[0]), PLAIN)
    if shape.section is None:
        return None
    return section_at(shape.section, path[1 if shape.container == "one" else 2 :])
