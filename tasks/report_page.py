"""A report as one HTML file: it needs no network, holds its script and lets no other run.

Names are text and never markup: Jinja escapes them in the page, and in the data of the charts no
character is left that could end the block they are in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl
from markupsafe import Markup

from policy.figures import figure
from policy.report import Report, merged
from policy.visible import visible
from tasks.html_page import digest, templates_of
from tasks.report_charts import chart_data

MOST_LISTED: Final = 50
"""Rows of a list that is no table of tenants; how many there are is told."""
MOST_TIMELINES: Final = 30
UNKNOWN: Final = "unknown"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_HOUR_SECONDS: Final = 3600
_WIDTH: Final = 1000.0
_LEAST_WIDTH: Final = 3.0  # what lasted less is drawn so long, or nobody would see it
_KEYS: Final = ["tenant", "limit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The first rows of a list, and how many there are in all."""

    rows: list[dict[str, object]]
    of: int


def report_page(report: Report) -> str:
    """The HTML of the report."""
    environment = templates_of(_TEMPLATES)
    environment.filters.update(
        figure=figure, visible=_visible, percent=_percent, money=_money, minute=_minute
    )
    style, script = _inline("style.css"), _inline("script.js")
    return environment.get_template("report.html.j2").render(
        report=report,
        policy=content_policy(style, script),
        style=Markup(style),  # noqa: S704 - files of ours
        script=Markup(script),  # noqa: S704 - likewise
        step=_length(report.step_seconds),
        data=_as_block(chart_data(report)),
        tenants=_tenants(report),
        charts=_charts(report),
        timelines=_timelines(report),
        turns=_listed(report.turns),
        incidents=_listed(report.incidents),
        proposals=_listed(report.proposals),
        savings=_listed(report.savings),
        budgets=report.costs.budgets.sort("scope", "name", "ends").to_dicts(),
        teams=report.costs.teams.to_dicts(),
        openings=report.turns.filter(after="open").height,
        states=dict(
            report.tenants.drop_nulls("state").group_by("state").len().sort("state").iter_rows()
        ),
    )


def content_policy(style: str, script: str) -> str:
    """The policy by which a browser runs what is in the page and nothing else, from disk, too."""
    return (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "style-src-attr 'none'; base-uri 'none'; form-action 'none'"
    )


@cache
def _inline(name: str) -> str:
    """Our own style or script behind that of the charts."""
    vendor, own = {
        "style.css": ("vendor/uplot.css", "report.css"),
        "script.js": ("vendor/uplot.js", "report.js"),
    }[name]
    return "\n".join((_TEMPLATES / each).read_text(encoding="utf-8") for each in (vendor, own))


def _as_block(data: Mapping[str, object]) -> Markup:
    """JSON without a character that means something in HTML."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing in it is markup any more


def _tenants(report: Report) -> list[dict[str, object]]:
    """ROWS with what each cost, and which chart is of it."""
    drawn = report.charted.group_by("tenant").agg(chart=pl.col("rank").min())
    paid = report.costs.tenants.group_by("tenant", maintain_order=True).agg(
        cost=pl.struct("amount", "currency")
    )
    return (
        report.tenants.join(drawn, on="tenant", how="left")
        .join(paid, on="tenant", how="left")
        .sort(pl.int_range(pl.len()))
        .to_dicts()
    )


def _charts(report: Report) -> list[dict[str, object]]:
    """Each tenant with a chart, with its limits and what was decided on them."""
    peaks = report.usage.group_by(_KEYS).agg(pl.col("peak").max())
    now = report.lines.group_by(_KEYS, maintain_order=True).agg(pl.col("value").last())
    told = report.charted.join(peaks, on=_KEYS, how="left").join(now, on=_KEYS, how="left")
    decided: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for each in report.decided.iter_rows(named=True):
        decided.setdefault((each["tenant"], each["limit"]), []).append(each)
    limits: dict[str, list[dict[str, object]]] = {}
    for each in told.sort("rank").iter_rows(named=True):
        its = decided.get((each["tenant"], each["limit"]), [])
        limits.setdefault(each["tenant"], []).append({**each, "decided": its})
    judged = {each["tenant"]: each for each in report.tenants.iter_rows(named=True)}
    return [{**judged[tenant], "limits": its} for tenant, its in limits.items()]


def _timelines(report: Report) -> Listed:
    """The spans of the tenants whose breaker was held most often, in places of a line."""
    whole = (report.made_at - report.since).total_seconds()
    start = (pl.col("starts") - report.since).dt.total_milliseconds() / 1000 / whole * _WIDTH
    length = (pl.col("ends") - pl.col("starts")).dt.total_milliseconds() / 1000 / whole * _WIDTH
    stretch = whole * _LEAST_WIDTH / _WIDTH
    placed = merged(report.spans, seconds=stretch).with_columns(
        x=pl.min_horizontal(start, pl.lit(_WIDTH - _LEAST_WIDTH)).round(1),
        width=pl.max_horizontal(length, pl.lit(_LEAST_WIDTH)).round(1),
    )
    order = (
        placed.group_by("tenant")
        .agg(pl.col("times").sum())
        .sort("times", "tenant", descending=[True, False])
        .select("tenant")
    )
    shown = order.head(MOST_TIMELINES).join(placed, on="tenant", maintain_order="left")
    rows = [
        {"tenant": key[0], "spans": its.to_dicts()}
        for key, its in shown.group_by("tenant", maintain_order=True)
    ]
    return Listed(rows=rows, of=order.height)


def _length(seconds: int) -> str:
    """`10 minutes`, `hour`, `3 hours`."""
    if seconds < _HOUR_SECONDS:
        return f"{seconds // 60} minutes"
    hours = seconds // _HOUR_SECONDS
    return "hour" if hours == 1 else f"{hours} hours"


def _listed(frame: pl.DataFrame) -> Listed:
    return Listed(rows=frame.head(MOST_LISTED).to_dicts(), of=frame.height)


def _visible(name: str | None) -> str:
    return UNKNOWN if name is None else visible(name)


def _percent(share: float | Decimal | None) -> str:
    if share is None:
        return UNKNOWN
    return "< 1 %" if 0 < share < Decimal("0.01") else f"{float(share) * 100:,.0f} %"


def _money(amount: Decimal | float | None) -> str:
    """`1,234.50`; of small amounts as many digits as say something."""
    if amount is None:
        return UNKNOWN
    return f"{amount:,.4f}" if 0 < abs(float(amount)) < 1 else f"{amount:,.2f}"


def _minute(moment: datetime | None) -> str:
    return UNKNOWN if moment is None else f"{moment:%Y-%m-%d %H:%M}"
