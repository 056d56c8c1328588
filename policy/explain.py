"""Say why a limit is what it is, in lines for the terminal, the audit and the artifact.

Text is rendered from the stack and the steps of a decision; nothing is explained here that was
not computed there, and what is not known is called unknown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from policy.figures import figure, grouped
from policy.pins import by


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One number on the way to a decision, and why it replaced the one before it."""

    name: str
    before: float | None
    after: float | None
    because: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """One layer's word about a limit, and the limit once it has spoken.

    `by` is the person whose word it is, None where it is nobody's.
    """

    layer: str
    kind: str
    value: float
    after: float
    decides: bool
    reason: str | None
    expires_at: datetime | None
    by: str | None = None

    def cells(self) -> tuple[str, str, str, str, str]:
        """A row of a table: mark, layer, what it says, the limit after it, the reason."""
        mark = "*" if self.decides else ""
        says = f"{self.kind} {figure(self.value)}"
        told = [
            f"by {self.by}" if self.by else "",
            f"until {self.expires_at:%Y-%m-%d %H:%M} UTC" if self.expires_at else "",
        ]
        added = ", ".join(filter(None, told))
        reason = f"{self.reason or ''} ({added})" if added else self.reason or ""
        return mark, self.layer, says, figure(self.after), reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One limit: its voices in the order of the cascade, and the newest decision."""

    limit: str
    voices: tuple[Voice, ...]
    decision: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that is known of why a tenant's limits are what they are."""

    tenant: str
    stories: tuple[Story, ...]


def decision_lines(decisions: pl.DataFrame) -> list[str]:
    """One line per decision.

    Args:
        decisions: DECISIONS, in the order they shall be shown.

    Returns:
        For instance "steady-1  ingestion_rate  10,000 → 13,000  +30 %  peak 10,310/s ...".
    """
    before, after = pl.col("before"), pl.col("after")
    change = ((after / before - 1) * 100).round(0)
    sign = pl.when(change > 0).then(pl.lit("+")).otherwise(pl.lit(""))
    percent = pl.when((before > 0) & (after != before)).then(
        pl.concat_str(sign, grouped(change), pl.lit(" %"))
    )
    moved = pl.concat_str(grouped(before), pl.lit(" → "), grouped(after))
    stays = pl.concat_str(grouped(before), pl.lit(" "), "outcome")
    taken = pl.col("outcome").is_in(["raise", "lower"])
    line = pl.concat_str(
        "tenant",
        "limit",
        pl.when(taken).then(moved).otherwise(stays),
        pl.when(taken).then(percent),
        "detail",
        separator="  ",
        ignore_nulls=True,
    )
    return decisions.select(line=line).to_series().to_list()


def explain(tenant: str, *, stack: pl.DataFrame, decisions: pl.DataFrame) -> Explanation:
    """The story of each limit of one tenant.

    Args:
        tenant: its id.
        stack: STACK of this tenant (see `policy.stack`).
        decisions: DECISIONS of any tenants and times; the newest of each limit is told.

    Returns:
        Stories sorted by limit; limits without a voice or a decision have none.
    """
    newest = (
        decisions.filter(pl.col("tenant") == tenant)
        .sort("at")
        .unique("limit", keep="last", maintain_order=True)
    )
    told = dict(zip(newest["limit"], decision_lines(newest), strict=True))
    steps = dict(newest.select("limit", "steps").iter_rows())
    voices: dict[str, list[Voice]] = {}
    for row in stack.with_columns(by=by()).iter_rows(named=True):
        voices.setdefault(row["limit"], []).append(_voice(row))

    stories = tuple(
        Story(
            limit=limit,
            voices=tuple(voices.get(limit, ())),
            decision=told.get(limit),
            steps=tuple(Step(**step) for step in json.loads(steps.get(limit) or "[]")),
        )
        for limit in sorted({*voices, *told})
    )
    return Explanation(tenant=tenant, stories=stories)


def lines(explanation: Explanation) -> list[str]:
    """The explanation as plain text, line by line."""
    if not explanation.stories:
        return [f"{explanation.tenant}: no layer, limit or decision is known of this tenant"]
    told = [explanation.tenant]
    for story in explanation.stories:
        told.append(f"  {story.limit}")
        told += [f"    {_joined(voice)}" for voice in story.voices]
        if story.decision is not None:
            told.append(f"    newest decision: {story.decision}")
        told += [f"      {_step(step)}" for step in story.steps]
    return told


def _voice(row: dict[str, Any]) -> Voice:
    return Voice(**{name: row[name] for name in Voice.__dataclass_fields__})


def _joined(voice: Voice) -> str:
    mark, layer, says, after, reason = voice.cells()
    return f"{mark:1} {layer:<10} {says:<20} → {after:<14} {reason}".rstrip()


def _step(step: Step) -> str:
    start = "" if step.before is None else f"{figure(step.before)} → "
    return f"{step.name}: {start}{figure(step.after)}, {step.because or 'no reason was kept'}"
