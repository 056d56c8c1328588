"""What a drill has to know of a tenant, read from any process."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from storage.backtests import Ask
from storage.literals import literal

USUAL_DEMAND: Final = """
    select median(mean) as usual
    from demand_5m
    where signal = {signal}
      and tenant = {tenant}
      and "at" >= make_timestamptz({since})
      and "at" < time_bucket(interval '5 minutes', make_timestamptz({now}))
"""


def usual_demand(
    ask: Ask, *, tenant: str, signal: str, window: timedelta, now: datetime
) -> float | None:
    """What is usual for the tenant: the median of the window's 5-minute means; None: unknown."""
    sql = USUAL_DEMAND.format(
        signal=literal(signal),
        tenant=literal(tenant),
        since=_micros(now - window),
        now=_micros(now),
    )
    usual = ask(sql)["usual"][0]
    return None if usual is None else float(usual)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
