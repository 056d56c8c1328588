"""A chargeback as one HTML file: it needs no network and no script, and prints.

Names are what somebody chose, so they are text and never markup, and what cannot be seen of them is
spelled out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from policy.cost.chargeback import Chargeback, Held
from policy.cost.periods import Period
from policy.cost.report import Shared
from policy.figures import figure
from policy.visible import visible
from tasks.html_page import templates_of

_TEMPLATES: Final = Path(__file__).parent / "templates"
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page says.

    Attributes:
        asked: the window; `zone` is that of its days.
        chargebacks: one for each currency.
        lists: the price lists that hold in the window.
        method: what is booked.
        shared: how what idles is shared out.
        hours_priced: the hours of the window in which anybody's usage is priced.
        made_at: aware UTC.
    """

    asked: Period
    zone: ZoneInfo
    chargebacks: Sequence[Chargeback]
    lists: Sequence[Held]
    method: str
    shared: Shared
    hours_priced: int
    made_at: datetime


def chargeback_page(page: Page) -> str:
    """The HTML of the page."""
    environment = templates_of(_TEMPLATES)
    names = {name: None for each in page.lists for name in each.prices}
    return environment.get_template("chargeback.html.j2").render(
        begins=_minute(page.asked.start, page.zone),
        ends=_minute(page.asked.end, page.zone),
        zone=str(page.zone),
        made=_minute(page.made_at, page.zone),
        method=page.method,
        shared=page.shared,
        chargebacks=page.chargebacks,
        hours=page.asked.hours,
        hours_priced=page.hours_priced,
        lists=[
            {
                "since": _minute(each.since, page.zone),
                "prices": {name: f"{price.normalize():f}" for name, price in each.prices.items()},
            }
            for each in page.lists
        ],
        price_names=list(names),
        gaps=_gaps(page),
        digits=_digits,
        figure=figure,
        percent=_percent,
        visible=visible,
        width=_width,
        words=lambda name: name.replace("_", " "),
    )


def _gaps(page: Page) -> list[str]:
    """What the page cannot tell, a sentence each."""
    tenants = [each for of in page.chargebacks for team in of.teams for each in team.tenants]
    unpriced = page.asked.hours - page.hours_priced
    short = sum(1 for each in tenants if each.covered_hours < each.hours - _HOURS_TOLD)
    parts = sorted({part for each in tenants if each.unknown for part in each.unknown.split(",")})
    without = sum(1 for each in tenants if each.amount is None)
    told = {
        "Hours of the window that are not priced": figure(unpriced) if unpriced > 0 else "",
        "Tenants that were not measured all the time, and are charged what was": (
            figure(short) if short else ""
        ),
        "Without a price or a measurement": ", ".join(parts),
        "Tenants without any amount": figure(without) if without else "",
    }
    return [f"{what}: {which}." for what, which in told.items() if which]


_HOURS_TOLD: Final = 0.05  # hours are shown to a tenth


def _digits(each: Chargeback) -> Callable[[Decimal | None], str]:
    """How amounts of this size are shown: alike, so that they stand below one another."""
    digits = 2 if abs(each.total) >= 1 else 4
    least = Decimal(1).scaleb(-digits)

    def shown(amount: Decimal | None) -> str:
        if amount is None:
            return _UNKNOWN
        if 0 < amount < least / 2:
            return f"< {least}"
        return f"{amount:,.{digits}f}"

    return shown


def _percent(share: float | Decimal | None) -> str:
    return "" if share is None else f"{float(share) * 100:.1f} %"


def _width(share: float | Decimal | None) -> str:
    """The length of a bar, in percent of the longest that there can be."""
    return f"{min(100.0, max(0.0, float(share or 0) * 100)):.1f}"


def _minute(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
