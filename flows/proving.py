"""Whether the settings have proven themselves on the stored past, where that is asked for.

A backtest of other settings proves nothing of these, nor does one of long ago: demand is another
by now.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from policy.backtest_policy import digest
from policy.settings import Settings
from storage.backtests import newest_backtest
from storage.database import Database

PROVES_FOR: Final = timedelta(days=30)
WAY_OUT: Final = "`prefect deployment run backtest/backtest` makes one"


def unproven(database: Database, settings: Settings, *, now: datetime) -> str | None:
    """Why no limit may change by itself for want of a backtest; None when it may.

    Args:
        database: the history.
        settings: those that decide now.
        now: aware UTC.
    """
    if not settings.automation.require_backtest:
        return None
    newest = newest_backtest(database, policy=digest(settings))
    if newest is None:
        return f"a backtest must pass first, and there is none of these settings; {WAY_OUT}"
    if not newest.passed:
        return f"backtest {newest.number} of these settings did not pass; `mlo backtest` says why"
    if newest.at < now - PROVES_FOR:
        return (
            f"backtest {newest.number} of these settings is more than {PROVES_FOR.days} days old; "
            f"{WAY_OUT}"
        )
    return None
