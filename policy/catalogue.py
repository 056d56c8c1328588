"""The limits that Mimir knows: type, default, unit, what zero means, and since which version.

Mimir refuses the whole runtime file of every tenant for one key it does not know, so the
question "may this name be written?" is answered here for each version, and never guessed: a
version between two that were read may only use the names that both know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from policy.errors import ConfigError

CORTEX: Final = "cortex_master_2026_08"

# The source trees that were read, each with the release it became: (major, minor) -> label.
MIMIR_RELEASES: Final = (
    ((2, 3), "mimir_main_2022_07"),
    ((2, 12), "mimir_main_2024_01"),
    ((3, 1), "mimir_main_2026_02"),
    ((3, 3), "mimir_main_newest_2026"),
)

_UNLIMITED: Final = ("unlimited", "all")
_BLOCKS: Final = ("nothing is admitted", "no request admitted", "everything rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One per-tenant limit of Mimir, as its YAML key.

    `zero` says in words what 0 (or nothing) means; `automation` is auto, guarded, manual or
    manual (destructive); `present_in` holds the labels of the source trees that know it.
    """

    name: str
    type: str
    default: object
    unit: str
    zero: str
    component: str
    automation: str
    present_in: tuple[str, ...]

    @property
    def is_number(self) -> bool:
        """Whether its value is a plain number, the only kind that is ever published."""
        return self.type in {"int", "float"}

    @property
    def zero_is_unlimited(self) -> bool:
        """Whether 0 stands for infinity."""
        return self.is_number and self.zero.startswith(_UNLIMITED)

    @property
    def zero_blocks(self) -> bool:
        """Whether 0 refuses everything that the tenant sends."""
        return self.is_number and self.zero.startswith(_BLOCKS)


@cache
def limits() -> Mapping[str, Limit]:
    """Every limit of every version that was read, by name."""
    text = files("policy").joinpath("mimir_limits.json").read_text(encoding="utf-8")
    return {
        row["name"]: Limit(**{**row, "present_in": tuple(row["present_in"])})
        for row in json.loads(text)
    }


@cache
def unlimited_at_zero() -> frozenset[str]:
    """The limits where 0 stands for infinity."""
    return frozenset(name for name, limit in limits().items() if limit.zero_is_unlimited)


@cache
def blocked_at_zero() -> frozenset[str]:
    """The limits where 0 refuses everything."""
    return frozenset(name for name, limit in limits().items() if limit.zero_blocks)


@cache
def integers() -> frozenset[str]:
    """The limits whose value is a whole number."""
    return frozenset(name for name, limit in limits().items() if limit.type == "int")


@cache
def numbers() -> frozenset[str]:
    """The limits whose value is a number of either kind."""
    return frozenset(name for name, limit in limits().items() if limit.is_number)


@cache
def known_in(version: str) -> frozenset[str]:
    """The names that a version certainly knows.

    Args:
        version: a label of a source tree (`mimir_main_2026_02`), or a release (`3.0.4`).

    Raises:
        ConfigError: the text is neither.
    """
    names = [_known_to(label) for label in _labels_around(version)]
    return frozenset.intersection(*names)


def _known_to(label: str) -> frozenset[str]:
    return frozenset(name for name, limit in limits().items() if label in limit.present_in)


def _labels_around(version: str) -> tuple[str, ...]:
    """The tree itself, or the nearest read ones on both sides of a release."""
    labels = tuple(label for _, label in MIMIR_RELEASES)
    if version in (*labels, CORTEX):
        return (version,)

    release = _release(version)
    below = [label for first, label in MIMIR_RELEASES if first <= release]
    above = [label for first, label in MIMIR_RELEASES if first > release]
    if any(first == release for first, _ in MIMIR_RELEASES):
        return (below[-1],)
    return (*below[-1:], *above[:1])


def _release(version: str) -> tuple[int, int]:
    major, _, rest = version.strip().removeprefix("v").partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        raise ConfigError(
            f"the version {version!r} of Mimir cannot be read; give a release such as 3.0.4 "
            f"or one of {', '.join(label for _, label in MIMIR_RELEASES)}, {CORTEX}"
        )
    return int(major), int(minor)
