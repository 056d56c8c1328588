"""Which settings have no effect yet.

The whole schema is accepted from the first day, so that a configuration need not be rewritten
when a part of the system arrives. What nothing reads yet is listed here, and an operator who
sets it is told. A test holds the list to the code: a key is read, or it stands here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policy.errors import ConfigError
from policy.settings.root import Settings
from policy.settings.schema import leaf_keys, located, pattern_of, shapes
from policy.settings.section import Section, aliases

WITHOUT_EFFECT: Final[frozenset[str]] = frozenset(
    {
        "performance.gc.enabled",
        "performance.gc.percent",
    }
)
"""Keys in their canonical spelling; `*` stands for the names in a map or the places in a list."""


def is_without_effect(dotted_key: str) -> bool:
    """Whether nothing reads the key yet; of a section, whether nothing reads any key in it.

    Raises:
        ConfigError: there is no such key.
    """
    if dotted_key in WITHOUT_EFFECT:
        return True
    found = located(Settings, dotted_key.split("."))
    if found is None:
        raise ConfigError(f"{dotted_key}: unknown key")
    pattern = pattern_of(Settings, found[0])
    below = {
        leaf for leaf in leaf_keys(Settings) if leaf == pattern or leaf.startswith(f"{pattern}.")
    }
    return below <= WITHOUT_EFFECT


def set_without_effect(settings: Settings) -> list[str]:
    """The keys that the operator has set and that nothing reads yet, sorted."""
    return sorted(key for key in _set_keys(settings) if is_without_effect(key))


def _set_keys(section: Section) -> Iterator[str]:
    for name in section.model_fields_set:
        alias = aliases(type(section))[name]
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from (f"{alias}.{key}" for key in _set_keys(value))
        elif isinstance(value, dict) and shapes(type(section))[alias].section is not None:
            for entry, item in value.items():
                yield from (f"{alias}.{entry}.{key}" for key in _set_keys(item))
        else:
            yield alias
