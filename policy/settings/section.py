"""What every section of the settings shares: one canonical spelling, and nothing unknown.

A key may be written in any case and with or without underscores (`webhookURL`, `webhook_url`);
a section names its further spellings itself. Two spellings of one key side by side are
refused: no one can tell which was meant. A key without a value counts as not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.alias_generators import to_camel


def fold(key: str) -> str:
    """The key without case, underscores and dashes: what its spellings have in common."""
    return key.replace("_", "").replace("-", "").lower()


class Section(BaseModel):
    """A frozen group of settings, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    also_spelled: ClassVar[Mapping[str, str]] = {}
    """Further spellings of keys, each with the canonical key."""

    @classmethod
    def reshaped(cls, tree: object) -> object:
        """The canonical shape of a section that may be written in several; others override it."""
        return tree

    @classmethod
    def respelled(cls, tree: object) -> object:
        """The tree with this section's own keys in their canonical spelling and shape.

        Keys that are unknown or written twice stay as they are; validation names them.
        """
        if tree is None:
            return {}
        if isinstance(tree, Mapping):
            written = {key: value for key, value in tree.items() if value is not None}
            doubled = _doubled(cls, written)
            tree = {
                key if key in doubled else _canonical(cls, key): value
                for key, value in written.items()
            }
        return cls.reshaped(tree)

    @model_validator(mode="before")
    @classmethod
    def _respell(cls, tree: object) -> object:
        respelled = cls.respelled(tree)
        if isinstance(respelled, Mapping) and (doubled := _doubled(cls, respelled)):
            raise ValueError(f"{' and '.join(doubled)} are one key written twice; keep one")
        return respelled


@cache
def spellings(section: type[Section]) -> Mapping[str, str]:
    """Canonical keys of the section by the folded form of each of their spellings."""
    known = {fold(name): alias for name, alias in aliases(section).items()}
    known |= {fold(alias): alias for alias in aliases(section).values()}
    return known | {fold(other): alias for other, alias in section.also_spelled.items()}


@cache
def aliases(section: type[Section]) -> Mapping[str, str]:
    """Canonical keys of the section by the names of its attributes."""
    return {name: field.alias or name for name, field in section.model_fields.items()}


def _canonical(section: type[Section], key: object) -> object:
    return spellings(section).get(fold(key), key) if isinstance(key, str) else key


def _doubled(section: type[Section], tree: Mapping[object, object]) -> list[str]:
    """Keys of the tree that share their canonical key with another one."""
    canonical = {key: _canonical(section, key) for key in tree if isinstance(key, str)}
    met = list(canonical.values())
    return [key for key, name in canonical.items() if met.count(name) > 1]
