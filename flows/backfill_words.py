"""What a backfill has to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from flows.backfill_outcome import Outcome, Priced
from flows.cost_words import money
from policy.cost.backfill import Filled
from tasks.tell import table

NAMES_SHOWN: Final = 20


def day_line(filled: Filled) -> str:
    """What is known of a day."""
    return mark_line(
        day=filled.day.start.date(),
        rows=filled.hours.height,
        tenants=filled.tenants,
        hours_missing=filled.hours_missing,
        tenant_hours_missing=filled.tenant_hours_missing,
    )


def mark_line(
    *,
    day: date,
    rows: int,
    tenants: int,
    hours_missing: int,
    tenant_hours_missing: int,
    **_: object,
) -> str:
    """`2026-09-01: 24,000 rows of 1,000 tenants, nothing missing`, of a row of MARKS."""
    if not rows:
        return f"{day}: nothing is known of it"
    found = f"{day}: {rows:,} rows of {_counted(tenants, 'tenant')}"
    return f"{found}, {missing(hours_missing, tenant_hours_missing)}"


def missing(hours: int, of_tenants: int) -> str:
    """What is not known, in words."""
    parts = [
        *([f"{_counted(hours, 'hour')} missing"] if hours else []),
        *([f"{_counted(of_tenants, 'hour')} of single tenants missing"] if of_tenants else []),
    ]
    return ", ".join(parts) or "nothing missing"


def outcome_lines(outcome: Outcome, *, zone: ZoneInfo) -> list[str]:
    """What a person wants to know at the end, one thing a line."""
    marks = outcome.marks
    begins, ends = (f"{each:%Y-%m-%d %H:%M}" for each in (outcome.asked.start, outcome.asked.end))
    known = outcome.known
    days, rows = _counted(known.height, "day"), f"{known['rows'].sum():,} rows"
    lines = [f"{days} of {begins} to {ends} UTC from {outcome.origin}: {rows}"]
    if outcome.skipped:
        lines.append(f"{_counted(outcome.skipped, 'day')} had been stored before (--again for all)")
    empty = marks.filter(pl.col("state") == "empty")["day"]
    if not empty.is_empty():
        lines.append(f"nothing is known of {_counted(empty.len(), 'day')}: {_spans(empty)}")
    hours = int(known["hours_missing"].sum())
    of_tenants = int(known["tenant_hours_missing"].sum())
    if not known.is_empty():
        rest = "of what is known, " if not empty.is_empty() else ""
        lines.append(f"{rest}{missing(hours, of_tenants)}")
    if outcome.absent:
        lines.append(
            f"known and without usage: {_counted(len(outcome.absent), 'tenant')}: "
            f"{_names(outcome.absent)}"
        )
    lines += [f"cost {_words(each, zone=zone)}" for each in outcome.priced]
    return lines


def backfill_report(outcome: Outcome, *, zone: ZoneInfo) -> str:
    """The artifact: what came, what is missing, what it cost by price list."""
    first, *rest = outcome_lines(outcome, zone=zone)
    parts = ["# Backfill", first, *(f"- {line}" for line in rest)]
    gappy = outcome.marks.filter(
        (pl.col("hours_missing") > 0) | (pl.col("tenant_hours_missing") > 0)
    )
    if not gappy.is_empty():
        rows = gappy.select(
            "day", "rows", "tenants", "hours_missing", "tenant_hours_missing"
        ).iter_rows()
        headings = ["day", "rows", "tenants", "hours missing", "hours of single tenants missing"]
        parts += ["## What is missing", table(headings, rows), "`v_backfills` has the gaps."]
    return "\n\n".join(parts)


def _words(priced: Priced, *, zone: ZoneInfo) -> str:
    begins, ends = (
        f"{each.astimezone(zone):%Y-%m-%d %H:%M}" for each in (priced.since, priced.until)
    )
    amount = money(priced.amount)
    return f"{amount} {priced.currency} by the list that holds {begins} to {ends} {zone}"


def _spans(days: pl.Series) -> str:
    """`2026-09-01 to 2026-09-03, 2026-09-07`."""
    sorted_days = days.sort().to_frame("day")
    island = pl.col("day") - pl.duration(days=pl.int_range(pl.len()))
    spans = (
        sorted_days.group_by(island.alias("island"), maintain_order=True)
        .agg(first=pl.col("day").min(), last=pl.col("day").max())
        .select("first", "last")
        .iter_rows()
    )
    return _names([f"{first}" if first == last else f"{first} to {last}" for first, last in spans])


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
