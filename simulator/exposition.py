"""Write Prometheus text: families with their help, type and samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Sample = tuple[str, float]
Kind = Literal["counter", "gauge"]


def family(name: str, kind: Kind, help_text: str, samples: Iterable[Sample]) -> str:
    """One family, or nothing at all when it has no samples, as Go's registry does.

    Args:
        name: of the family and of each sample.
        kind: its type.
        help_text: one line.
        samples: pairs of rendered labels, such as `{user="a"}` or nothing, and a value.
    """
    lines = [f"{name}{labels} {number(value)}" for labels, value in samples]
    if not lines:
        return ""
    return "\n".join((f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *lines, ""))


def user(tenant: str) -> str:
    """The label that names a tenant; a legal tenant name needs no escaping."""
    return f'{{user="{tenant}"}}'


def number(value: float) -> str:
    """A value as text; whole numbers without a fraction."""
    whole = int(value) if abs(value) < 1e18 else None  # noqa: PLR2004 - past it, use exponents
    return str(whole) if whole == value else repr(value)
