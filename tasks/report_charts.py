"""What the script of a report draws, as plain numbers: few digits, no names but those of teams."""

from __future__ import annotations

from math import ceil
from typing import Final

import polars as pl

from policy.report import Report, merged
from policy.visible import visible

DIGITS: Final = 4
TEAMS_APART: Final = 6
"""The dearest; all others are one."""
OTHERS: Final = "all others"
_KEYS: Final = ["tenant", "limit"]


def chart_data(report: Report) -> dict[str, object]:
    """The charts, by the places that the page names.

    Returns:
        `from`, `until`, and `step`, seconds since 1970 and seconds; `start` the first point of
        `asked` and of each chart's `usage`; `charts` in order, each with `usage`, `limit` (moment
        and value where it changed), `decided` (moment, value, raise or lower) and `held` (from,
        until, state of the breaker); `cost` with `days`, `teams` and the `amounts` of each.
    """
    step = report.step_seconds
    start = int(report.since.timestamp()) // step * step
    points = ceil((report.made_at.timestamp() - start) / step)
    return {
        "from": int(report.since.timestamp()),
        "until": int(report.made_at.timestamp()),
        "step": step,
        "start": start,
        "asked": _asked(report, start=start, points=points),
        "charts": _charts(report, start=start, points=points),
        "cost": _costs(report),
    }


def _asked(report: Report, *, start: int, points: int) -> list[float | None]:
    grid = pl.DataFrame({"place": pl.int_range(points, eager=True)})
    found = report.asked.select(_place(start, report.step_seconds), _short("asked"))
    return grid.join(found, on="place", how="left", maintain_order="left")["asked"].to_list()


def _charts(report: Report, *, start: int, points: int) -> list[dict[str, object]]:
    grid = pl.DataFrame({"place": pl.int_range(points, eager=True)})
    usage = report.usage.select(*_KEYS, _place(start, report.step_seconds), _short("peak"))
    seconds = pl.col("at").dt.epoch("s")
    drawn = (
        report.charted.join(grid, how="cross")
        .join(usage, on=[*_KEYS, "place"], how="left")
        .sort("rank", "place")
        .group_by("rank", *_KEYS, maintain_order=True)
        .agg("peak")
    )
    lines = report.lines.group_by(_KEYS, maintain_order=True).agg(
        limit_line=pl.concat_list(seconds.cast(pl.Float64), "value")
    )
    decided = report.decided.group_by(_KEYS, maintain_order=True).agg(
        moments=seconds, values="after", outcomes="outcome"
    )
    spans = merged(report.spans, seconds=report.step_seconds)
    held = spans.group_by("tenant", maintain_order=True).agg(
        starts=pl.col("starts").dt.epoch("s"), ends=pl.col("ends").dt.epoch("s"), states="state"
    )
    whole = (
        drawn.join(lines, on=_KEYS, how="left")
        .join(decided, on=_KEYS, how="left")
        .join(held, on="tenant", how="left")
        .sort("rank")
    )
    return [
        {
            "usage": each["peak"],
            "limit": each["limit_line"] or [],
            "decided": _zipped(each["moments"], each["values"], each["outcomes"]),
            "held": _zipped(each["starts"], each["ends"], each["states"]),
        }
        for each in whole.iter_rows(named=True)
    ]


def _costs(report: Report) -> dict[str, object]:
    """What each day cost, by team; a day of which nothing is known of a team has none."""
    days = report.costs.days.with_columns(
        pl.col("amount").cast(pl.Float64), at=pl.col("at").dt.epoch("s")
    )
    order = (
        days.group_by("team").agg(pl.col("amount").sum()).sort("amount", "team", descending=True)
    )["team"].to_list()
    apart = order[:TEAMS_APART]
    named = pl.when(pl.col("team").is_in(apart)).then("team").otherwise(pl.lit(OTHERS))
    known = pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum())
    summed = days.group_by("at", team=named).agg(known.round_sig_figs(DIGITS).alias("amount"))
    moments = days["at"].unique().sort()
    teams = [*apart, *([OTHERS] if len(order) > len(apart) else [])]
    grid = pl.DataFrame({"at": moments})
    return {
        "days": moments.to_list(),
        "currency": report.costs.currency,
        "teams": [visible(team) for team in teams],
        "amounts": [
            grid.join(summed.filter(team=team), on="at", how="left", maintain_order="left")[
                "amount"
            ].to_list()
            for team in teams
        ],
    }


def _place(start: int, step: int) -> pl.Expr:
    return ((pl.col("at").dt.epoch("s") - start) // step).alias("place")


def _short(name: str) -> pl.Expr:
    return pl.col(name).round_sig_figs(DIGITS)


def _zipped(*columns: list[object] | None) -> list[list[object]]:
    return [list(row) for row in zip(*(each or [] for each in columns), strict=True)]
