"""Costs in the columns that other programs know, and as a page that charges teams."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.cost.chargeback import chargebacks, held
from policy.cost.focus import Issuer, focus
from policy.cost.periods import Period, pieces
from policy.cost.prices import price_book
from policy.cost.report import Shared
from policy.cost.terms import terms_of
from policy.settings import Settings
from storage import spending
from tasks.whole_file import write_whole

PAGE: Final = ".html"


def focus_rows(settings: Settings, *, asked: Period, tenant: str | None) -> pl.DataFrame:
    """FOCUS of the window; of one tenant, without what idles.

    Raises:
        StorageError: the history cannot be reached.
    """
    rules, url = settings.cost_control, settings.storage.url
    zone = ZoneInfo(rules.time_zone)
    days = pieces(asked, unit="day", zone=zone)
    spent, idle = spending.spent(url, days), spending.IDLE.to_frame()
    if tenant is not None:
        spent = spent.filter(pl.col("tenant") == tenant)
    else:
        idle = spending.idle(url, days)
    return focus(
        spent,
        idle=idle,
        days=days,
        zone=zone,
        terms=terms_of(rules),
        issuer=Issuer(provider=rules.service_provider, account=rules.billing_account),
    )


def write_chargeback(
    path: Path, settings: Settings, *, asked: Period, shared: Shared, now: datetime
) -> None:
    """Put a page of what each team is charged in the place of the file.

    Raises:
        StorageError: the history cannot be reached.
        ConfigError: the file cannot be written.
    """
    from deployments.chargeback_page import Page, chargeback_page  # noqa: PLC0415 - it is slow

    rules, url = settings.cost_control, settings.storage.url
    (hours_priced,) = spending.hours_priced(url, [asked])
    page = Page(
        asked=asked,
        zone=ZoneInfo(rules.time_zone),
        chargebacks=chargebacks(
            spending.spent(url, [asked], by_team=True),
            idle=spending.idle(url, [asked]),
            shared=shared,
        ),
        lists=held(price_book(rules), asked),
        method=rules.cost_method,
        shared=shared,
        hours_priced=hours_priced,
        made_at=now,
    )
    html = chargeback_page(page).encode()
    write_whole(path, lambda stream: stream.write(html))
