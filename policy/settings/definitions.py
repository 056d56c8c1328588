"""What an operator says of one limit: a change of the catalogue's entry, or a limit of its own.

A limit that the catalogue knows keeps its type, its unit and the meaning of its 0: those are
Mimir's. One that it does not know needs all of them. What must never be sized by itself is
refused here, with the reason, and so is what nothing measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from policy.catalogue import (
    MIMIR_RELEASES,
    Catalogue,
    Class,
    Limit,
    demands,
    limits,
    release_of,
)
from policy.errors import ConfigError
from policy.settings.section import Section
from policy.settings.values import Faults, Percent

_ZEROS: Final = {"unlimited": "unlimited", "blocks": "everything rejected", "off": "off"}
_MIMIRS_OWN: Final = ("type", "unit", "zero", "since")
_NEEDED: Final = ("type", "unit", "zero", "default")
_NEWEST_READ: Final = MIMIR_RELEASES[-1][0]


def _release(text: object) -> str:
    try:
        release_of(str(text))
    except ConfigError:
        raise ValueError("is no release; write it in quotes, like '3.4'") from None
    return str(text)


def _signal(name: str) -> str:
    if name in demands():
        return name
    near = get_close_matches(name, demands(), n=1)
    way_out = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(demands()))}"
    raise ValueError(f"{name} is no signal that is measured; {way_out}")


class LimitDefinition(Section):
    """What holds for one limit only; what is not written is as in the catalogue."""

    enabled: bool | None = None
    buffer_percentage: Percent | None = None
    automation: Class | None = Field(default=None, alias="class")
    signal: Annotated[str, AfterValidator(_signal)] | None = None
    min: Annotated[float, Field(ge=0)] | None = None
    max: Annotated[float, Field(ge=0)] | None = None
    default: Annotated[float, Field(ge=0)] | None = None
    type: Literal["int", "float"] | None = None
    unit: str | None = None
    zero: Literal["unlimited", "blocks", "off"] | None = None
    since: Annotated[str, AfterValidator(_release)] | None = None

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise Faults({"min": f"{self.min:g} is above max {self.max:g}"})
        return self

    def entry(self, name: str) -> Limit:
        """The limit as the catalogue is to hold it; the definition has no `faults`."""
        known = limits().get(name) or self._of_its_own(name)
        return replace(
            known,
            automation=self.automation or known.automation,
            signal=self.signal or known.signal,
            default=known.default if self.default is None else self.default,
        )

    def faults(self, name: str) -> Iterator[tuple[str, str]]:
        """What is wrong with it as the definition of this limit: key below it, and fault."""
        known = limits().get(name)
        if known is None:
            missing = [key for key in _NEEDED if getattr(self, key) is None]
            if missing:
                yield "", f"{unknown(name)} To add it, say its {', '.join(missing)}"
            return
        for key in _MIMIRS_OWN:
            if getattr(self, key) is not None:
                yield key, f"is what Mimir says of {name}; it can be said only of an unknown limit"
        if not known.is_number and (self.min, self.max, self.default) != (None, None, None):
            yield "", f"{name} is a {known.type} and no number, so it has no min, max or default"
        if known.automation == "destructive" and self.automation not in {None, "destructive"}:
            yield "class", f"{name} deletes data and stays destructive"

    def _of_its_own(self, name: str) -> Limit:
        major, minor = _NEWEST_READ
        return Limit(
            name=name,
            type=self.type or "float",
            default=self.default,
            unit=self.unit or "",
            zero=_ZEROS[self.zero or "off"],
            component="-",
            automation="guarded",
            present_in=(),
            # No version that was read knows it, and one unknown name costs the whole file.
            since=release_of(self.since) if self.since else (major, minor + 1),
            observable="metric" if self.signal else "none",
            signal=self.signal,
        )


def unknown(name: str, *, more: Mapping[str, object] | None = None) -> str:
    """That no limit has this name, with the nearest that is one."""
    near = get_close_matches(name, [*limits(), *(more or {})], n=1)
    return f"is no limit that Mimir is known to have{f'; did you mean {near[0]}?' if near else '.'}"


def never_sized(limit: Limit) -> str | None:
    """Why a limit is never sized by itself, whatever the settings say; None where it may be."""
    match limit.automation:
        case "destructive":
            return f"{limit.name} deletes data when it is wrong, so it is never sized by itself"
        case "manual":
            return f"{limit.name} is for people to set (class manual), so it is never sized"
    if not limit.is_number:
        return f"{limit.name} is a {limit.type} and no number, so it cannot be sized"
    if limit.signal is None:
        return (
            f"nothing measures the demand on {limit.name}, so it cannot be sized; "
            f"name a signal in limits.definitions.{limit.name}.signal"
        )
    return None


def catalogue_with(definitions: Mapping[str, LimitDefinition]) -> Catalogue:
    """The built-in catalogue with what the definitions change and add, sorted by name."""
    changed = {name: definition.entry(name) for name, definition in definitions.items()}
    return dict(sorted({**limits(), **changed}.items()))
