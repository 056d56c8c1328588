"""The kinds of value that settings are made of, each checked where it enters.

A value that is refused says what it must be. Messages repeat what was written only for kinds
that cannot be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field

from policy.settings.durations import parse_duration

LIMIT_ALIASES: Final = {"max_series": "max_global_series_per_user"}
MIB: Final = 1024**2
_SIZE: Final = re.compile(r"\d+(\.\d+)? ?([kKMGT]i?)?B")
_LIMIT_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


class Faults(ValueError):  # noqa: N818 - a list of faults, found in one look at a section
    """Several faults of one section, each with the key below the section that it concerns."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{key}: {fault}" for key, fault in faults.items()))
        self.faults = dict(faults)


def _duration(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    return parse_duration(str(value))


def _lasting(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return length


def _interval(length: timedelta) -> timedelta:
    if length < timedelta(seconds=1):
        raise ValueError("must be at least 1s")
    return length


def _percent(value: object) -> object:
    return value.strip().removesuffix("%") if isinstance(value, str) else value


def _something(amount: Decimal) -> Decimal:
    if amount <= 0:
        raise ValueError("must be above 0: nothing can be spent of it; leave it out for no budget")
    return amount


def _size(value: object) -> object:
    if isinstance(value, ByteSize):
        return value
    written = str(value).strip()
    if not _SIZE.fullmatch(written):
        raise ValueError(f"{written!r} is not a size; write it like 100MiB")
    return written


def _worthwhile(size: ByteSize) -> ByteSize:
    if size < MIB:
        raise ValueError("must be at least 1MiB")
    return size


def _escalation(value: object) -> object:
    return "0s" if value == "immediate" else value


def renamed_limits(by_limit: object) -> object:
    """A map with limits by the names that Mimir gives them.

    A limit under two names stays under both, for `checked_limits` to refuse.
    """
    if not isinstance(by_limit, Mapping):
        return by_limit
    return {
        name if LIMIT_ALIASES.get(name, name) in by_limit else LIMIT_ALIASES[name]: held
        for name, held in by_limit.items()
    }


def checked_limits(by_limit: object) -> object:
    """A map by limit as it is, when each name can be one and none is written twice.

    Raises:
        Faults: names that are no names of limits, limits under two names, and true or false
            where pydantic would read a number.
    """
    by_limit = renamed_limits(by_limit)
    if not isinstance(by_limit, Mapping):
        return by_limit
    faults: dict[str, str] = {}
    for name, held in by_limit.items():
        if name in LIMIT_ALIASES:
            faults[name] = f"names {LIMIT_ALIASES[name]}, which is written too; keep one"
        elif isinstance(name, str) and not _LIMIT_NAME.fullmatch(name):
            faults[name] = "is not the name of a limit; write it like ingestion_rate"
        elif isinstance(held, bool):
            faults[str(name)] = "must not be true or false"
    if faults:
        raise Faults(faults)
    return by_limit


def not_empty(items: tuple[str, ...]) -> tuple[str, ...]:
    """The items, when there are any.

    Raises:
        ValueError: there are none. (pydantic's own check also fires when an item is refused.)
    """
    if not items:
        raise ValueError("must not be empty")
    return items


def base_url(text: str) -> str:
    """An http(s) address without its last slash.

    Raises:
        ValueError: no http(s) address, or one that carries a password, a query or a fragment.
    """
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address; write it like http://mimir:8080") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("is not an address; write it like http://mimir:8080")
    if "@" in parts.netloc:
        raise ValueError("carries a password; send it in a header instead")
    if parts.query or parts.fragment:
        raise ValueError("carries a query or a fragment; a base address has neither")
    return text.strip().rstrip("/")


Duration = Annotated[timedelta, BeforeValidator(_duration)]
PositiveDuration = Annotated[Duration, AfterValidator(_lasting)]
Interval = Annotated[Duration, AfterValidator(_interval)]
Escalation = Annotated[Duration, BeforeValidator(_escalation)]

MoreThanWhole = Annotated[float, BeforeValidator(_percent), Field(ge=100)]
"""A percentage of what is allowed."""
Size = Annotated[ByteSize, BeforeValidator(_size), AfterValidator(_worthwhile)]
Percent = Annotated[float, BeforeValidator(_percent), Field(ge=0, le=100)]
SomePercent = Annotated[float, BeforeValidator(_percent), Field(gt=0, le=100)]
Factor = Annotated[float, Field(gt=0)]
Headroom = Annotated[float, Field(ge=1)]
PerSecond = Annotated[float, Field(gt=0)]
Money = Annotated[Decimal, Field(ge=0)]
Allowance = Annotated[Decimal, AfterValidator(_something)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]
BaseUrl = Annotated[str, AfterValidator(base_url)]
Name = Annotated[str, Field(min_length=1)]

LimitName = Annotated[str, AfterValidator(lambda name: LIMIT_ALIASES.get(name, name))]
LimitValues = Annotated[dict[str, Annotated[float, Field(ge=0)]], BeforeValidator(checked_limits)]

BreakerMode = Literal["auto", "manual", "hybrid"]
