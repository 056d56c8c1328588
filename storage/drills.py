"""What a drill has to know of a tenant, read from any process."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from storage.backtests import Ask
from storage.literals import literal

DEMAND_OF_OTHERS: Final = """
    select sum(usual) as usual from (
        select median(mean) as usual
        from demand_5m
        where signal = {signal}
          and tenant <> {tenant}
          and "at" >= make_timestamptz({since})
          and "at" < time_bucket(interval '5 minutes', make_timestamptz({now}))
        group by tenant
    )
"""


def demand_of_others(
    ask: Ask, *, tenant: str, signal: str, window: timedelta, now: datetime
) -> float | None:
    """What all other tenants usually ask for: the sum of their medians of the window's means.

    None where nothing was measured of anybody else.
    """
    sql = DEMAND_OF_OTHERS.format(
        signal=literal(signal),
        tenant=literal(tenant),
        since=_micros(now - window),
        now=_micros(now),
    )
    usual = ask(sql)["usual"][0]
    return None if usual is None else float(usual)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
