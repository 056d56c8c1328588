"""The limits that Mimir knows: type, default, unit, zero, class, signals, and since which version.

What is here was read from Mimir's source; `mimir_limits.json` holds it, one limit a line. An
operator adds to it and changes it in the settings (`policy.tuned.catalogue_of`), so each
question below can be asked of another catalogue than the built-in one.

Mimir refuses the whole runtime file of every tenant for one key it does not know, so the
question "may this name be written?" is answered here for each version, and never guessed: a
version between two that were read may only use the names that both know.
"""

from __future__ import annotations

import json
from collections.abc import ItemsView, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from policy.errors import ConfigError
from policy.measures import MEASURES
from policy.signals import PRESSURE_ON, SERIES

CORTEX: Final = "cortex_master_2026_08"

# The source trees that were read, each with the release it became: (major, minor) -> label.
MIMIR_RELEASES: Final = (
    ((2, 3), "mimir_main_2022_07"),
    ((2, 12), "mimir_main_2024_01"),
    ((3, 1), "mimir_main_2026_02"),
    ((3, 3), "mimir_main_newest_2026"),
)

# auto: sized by itself; guarded: sized when the operator says so; manual: by people only;
# destructive: a wrong value deletes data.
Class = Literal["auto", "guarded", "manual", "destructive"]

# How the demand on a limit shows: in a metric, through an API of Mimir, only as refusals, not.
Observable = Literal["metric", "api", "reject", "none"]

_UNLIMITED: Final = ("unlimited", "all")
_BLOCKS: Final = ("nothing is admitted", "no request admitted", "everything rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One per-tenant limit of Mimir, as its YAML key.

    Attributes:
        zero: in words what 0 (or nothing) means.
        automation: its class, see `Class`.
        present_in: labels of the source trees that know it.
        since: the first release that knows it, of a limit that the settings add.
        observable: how the demand on it shows, see `Observable`.
        metric: where: names of metrics, or the call of an API.
        promql: the demand as a query, by storage mode: classic, ingest_storage, or any.
        reject: what shows that it refuses: `discard:` and `discard_…:` are reasons of discards,
            `http…` answers to a client, `am:` a counter of the Alertmanager.
        floor: the least that is recommended, Mimir's own default where less saves nothing.
        only_raised: what is seen of the demand is less than what must be allowed: a mean that
            hides bursts, or days without the incident that the limit is there for.
        signal: the signal of `policy.signals` that we read the demand from; None: we do not.
        exportable: whether the overrides-exporter can show it.
        in_user_limits_api: whether `/api/v1/user_limits` shows it.
        deprecated: in the newest version.
        hidden: Mimir does not document it.
    """

    name: str
    type: str
    default: object
    unit: str
    zero: str
    component: str
    automation: Class
    present_in: tuple[str, ...]
    since: tuple[int, int] | None = None
    observable: Observable = "none"
    metric: str | None = None
    promql: Mapping[str, str] = field(default_factory=dict)
    reject: str | None = None
    floor: float = 0.0
    only_raised: bool = False
    signal: str | None = None
    exportable: bool = False
    in_user_limits_api: bool = False
    deprecated: bool = False
    hidden: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its value is a plain number, the only kind that is ever published."""
        return self.type in {"int", "float"}

    @property
    def is_rate(self) -> bool:
        """Whether its value is per second."""
        return "/s" in self.unit

    @property
    def zero_is_unlimited(self) -> bool:
        """Whether 0 stands for infinity."""
        return self.is_number and self.zero.startswith(_UNLIMITED)

    @property
    def zero_blocks(self) -> bool:
        """Whether 0 refuses everything that the tenant sends."""
        return self.is_number and self.zero.startswith(_BLOCKS)


Catalogue = Mapping[str, Limit]
"""Limits by their names, sorted."""


@cache
def limits() -> Catalogue:
    """Every limit of every version that was read, by name."""
    text = files("policy").joinpath("mimir_limits.json").read_text(encoding="utf-8")
    return {row["name"]: _limit(row) for row in json.loads(text)}


@cache
def demands() -> frozenset[str]:
    """The signals that are a demand: what a limit can be sized on."""
    told = (signal for measure in MEASURES for signal in measure.told_as.values())
    return frozenset({SERIES, *told} - set(PRESSURE_ON.values()))


def _limit(row: dict[str, Any]) -> Limit:
    signal = row["name"] if row["name"] in demands() else None
    told = {key: value for key, value in row.items() if key not in {"class", "present_in"}}
    return Limit(
        **told, automation=row["class"], present_in=tuple(row["present_in"]), signal=signal
    )


def unlimited_at_zero(catalogue: Catalogue | None = None) -> frozenset[str]:
    """The limits where 0 stands for infinity; without a catalogue, of the built-in one."""
    return frozenset(name for name, limit in _all(catalogue) if limit.zero_is_unlimited)


def blocked_at_zero(catalogue: Catalogue | None = None) -> frozenset[str]:
    """The limits where 0 refuses everything."""
    return frozenset(name for name, limit in _all(catalogue) if limit.zero_blocks)


def integers(catalogue: Catalogue | None = None) -> frozenset[str]:
    """The limits whose value is a whole number."""
    return frozenset(name for name, limit in _all(catalogue) if limit.type == "int")


def numbers(catalogue: Catalogue | None = None) -> frozenset[str]:
    """The limits whose value is a number of either kind."""
    return frozenset(name for name, limit in _all(catalogue) if limit.is_number)


def rates(catalogue: Catalogue | None = None) -> frozenset[str]:
    """The limits whose value is per second."""
    return frozenset(name for name, limit in _all(catalogue) if limit.is_rate)


def _all(catalogue: Catalogue | None) -> ItemsView[str, Limit]:
    return (limits() if catalogue is None else catalogue).items()


def known_in(version: str, *, catalogue: Catalogue | None = None) -> frozenset[str]:
    """The names that a version certainly knows.

    Args:
        version: a label of a source tree (`mimir_main_2026_02`), or a release (`3.0.4`).
        catalogue: of which limits; None for the built-in ones.

    Raises:
        ConfigError: the text is neither.
    """
    labels = set(_labels_around(version))
    release = None if version == CORTEX else _release_of(version)
    return frozenset(
        name
        for name, limit in _all(catalogue)
        if labels <= set(limit.present_in)
        or (limit.since is not None and release is not None and limit.since <= release)
    )


def _release_of(version: str) -> tuple[int, int]:
    by_label = {label: first for first, label in MIMIR_RELEASES}
    return by_label[version] if version in by_label else release_of(version)


def _labels_around(version: str) -> tuple[str, ...]:
    """The tree itself, or the nearest read ones on both sides of a release."""
    labels = tuple(label for _, label in MIMIR_RELEASES)
    if version in (*labels, CORTEX):
        return (version,)

    release = release_of(version)
    below = [label for first, label in MIMIR_RELEASES if first <= release]
    above = [label for first, label in MIMIR_RELEASES if first > release]
    if any(first == release for first, _ in MIMIR_RELEASES):
        return (below[-1],)
    return (*below[-1:], *above[:1])


def release_of(version: str) -> tuple[int, int]:
    """The release that a version belongs to: (3, 0) of `3.0.4`.

    Raises:
        ConfigError: the text names no release.
    """
    major, _, rest = version.strip().removeprefix("v").partition(".")
    minor = rest.partition(".")[0].partition("-")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        raise ConfigError(
            f"the version {version!r} of Mimir cannot be read; give a release such as 3.0.4 "
            f"or one of {', '.join(label for _, label in MIMIR_RELEASES)}, {CORTEX}"
        )
    return int(major), int(minor)
