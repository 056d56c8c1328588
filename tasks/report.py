"""Gather what a report says from the history, and put the page in the place of its file.

Free of Prefect: a command makes a report, too. `where` is the history, as in `storage.reading`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from policy.activity import states
from policy.catalogue import unlimited_at_zero
from policy.cost.periods import Period, pieces
from policy.cost.report import report as cost_report
from policy.cost.teams import teams_of
from policy.effective import beneath
from policy.emergency.rules import Level
from policy.emergency.state import from_json
from policy.errors import ConfigError
from policy.grade import grade
from policy.report import Costs, Report, charted, limit_lines, rows, spans
from policy.settings import Settings
from policy.standings import by_risk
from policy.tenancy import tiers
from policy.tuned import catalogue_of, tuned
from storage import alert_reading, reading, spending
from storage import report as stored
from storage.budgets import read_budgets
from storage.database import Database
from storage.report import BUCKET
from storage.savings import read_savings
from tasks.whole_file import write_whole

DAYS: Final = 14
MOST_DAYS: Final = 400
POINTS: Final = 14 * 24
"""At most so many points has a chart; of a longer window each is of more hours than one."""
FINE_DAYS: Final = 2
"""Windows that are drawn from 5-minute rollups; longer ones from hourly peaks."""
_HOUR: Final = timedelta(hours=1)


def report_file(url: str) -> Path:
    """Where the report of a history is kept: beside it.

    Raises:
        ConfigError: the history is no file.
    """
    if url.startswith("quack:"):
        raise ConfigError(
            f"storage.url {url} is of another machine; say where: --output, or the parameter file"
        )
    return Path(url).absolute().with_name("report.html")


def make_report(
    settings: Settings,
    *,
    where: str | Database,
    days: int,
    path: Path,
    clock: Callable[[], datetime],
) -> Report:
    """Put a report of the last days in the place of the file, whole or not at all.

    Args:
        settings: for tiers, teams, prices' currency, and which signal tells which limit.
        where: the history.
        days: how far it looks back, 1 to MOST_DAYS.
        path: of the file.
        clock: aware UTC.

    Raises:
        ConfigError: so many days are not kept, or the file cannot be written.
        StorageError: the history cannot be reached.
    """
    from tasks.report_page import report_page  # noqa: PLC0415 - Jinja is slow to import

    if not 1 <= days <= MOST_DAYS:
        raise ConfigError(f"days: {days} are not kept; let it be 1 to {MOST_DAYS}")
    found = gathered(settings, where=where, days=days, now=clock())
    html = report_page(found).encode()
    write_whole(path, lambda stream: stream.write(html))
    return found


def gathered(settings: Settings, *, where: str | Database, days: int, now: datetime) -> Report:
    """What the report says of the last days.

    Raises:
        StorageError: the history cannot be reached.
    """
    since, step = now - timedelta(days=days), _step(days)
    standings = reading.standings(where)
    counted = stored.counted(where, since=since)
    turns = stored.turned(where, since=since)
    chosen = charted(standings, counted=counted)
    signals = tuned(settings.limits)
    signal = pl.col("limit").replace_strict(signals, default=pl.col("limit"))
    revisions = reading.revisions(where).filter(pl.col("begun_at") >= since)
    incidents = alert_reading.incidents(where)
    over = pl.col("over_at")
    return Report(
        since=since,
        made_at=now,
        zone=ZoneInfo(settings.cost_control.time_zone),
        mode=settings.mode,
        simulated=reading.simulated(where),
        grade=None if standings.is_empty() else grade(standings),
        judged_at=None if standings.is_empty() else standings["at"][0],
        emergency=_emergency(where),
        tenants=rows(
            _names(settings, where=where), standings=standings, counted=counted, turns=turns
        ),
        raises=int(counted["raises"].sum()),
        lowers=int(counted["lowers"].sum()),
        asked=stored.asked_by_all(where, since=since, until=now, step=step),
        charted=chosen,
        step_seconds=int(step.total_seconds()),
        usage=stored.usage(
            where, chosen.with_columns(signal=signal), since=since, until=now, step=step
        ),
        lines=_lines(settings, chosen, where=where, standings=standings, since=since, now=now),
        decided=stored.decided(where, chosen, since=since),
        turns=turns,
        spans=spans(turns, since=since, until=now),
        incidents=incidents.filter(
            (pl.col("opened_at") >= since) | over.is_null() | (over >= since)
        ),
        revisions=dict(revisions.group_by("outcome").len().sort("outcome").iter_rows()),
        proposals=by_risk(standings.filter(pl.col("proposed").is_not_null())),
        savings=read_savings(where),
        costs=_costs(settings, where=where, since=since, now=now),
    )


def _step(days: int) -> timedelta:
    """How long a point is: of a few days whole buckets, else whole hours."""
    if days <= FINE_DAYS:
        return ceil(days * (_HOUR * 24 / BUCKET) / POINTS) * BUCKET
    return ceil(days * 24 / POINTS) * _HOUR


def _emergency(where: str | Database) -> Level | None:
    told = reading.emergency(where)
    return None if told is None else from_json(told).level


def _names(settings: Settings, *, where: str | Database) -> pl.DataFrame:
    """Columns tenant, team, tier, state of every tenant of which anything is known."""
    scoping, control = settings.tenant_scoping, settings.cost_control
    known = pl.Series("tenant", reading.known_tenants(where), dtype=pl.String())
    patterns = {name: team.tenants for name, team in control.team_budgets.items()}
    seen = states(
        reading.activity(where),
        inactive_after=scoping.inactive_after,
        gone_after=scoping.gone_after,
    )
    return (
        known.to_frame()
        .join(teams_of(known, patterns=patterns), on="tenant", how="left")
        .join(tiers(known, mapping=settings.tenant_tier_mapping), on="tenant", how="left")
        .join(seen, on="tenant", how="left")
        .select("tenant", "team", "tier", "state")
    )


def _lines(
    settings: Settings,
    chosen: pl.DataFrame,
    *,
    where: str | Database,
    standings: pl.DataFrame,
    since: datetime,
    now: datetime,
) -> pl.DataFrame:
    judged = standings.join(chosen, on=["tenant", "limit"], how="semi")
    known = stored.known_limits(where, chosen, since=since)
    return limit_lines(
        pl.concat([known, judged.select(known.columns)]),
        own=beneath(
            reading.observed(where),
            tenants=chosen["tenant"],
            limits=chosen["limit"].unique().sort().to_list(),
        ),
        until=now,
        endless=unlimited_at_zero(catalogue_of(settings.limits)),
    )


def _costs(settings: Settings, *, where: str | Database, since: datetime, now: datetime) -> Costs:
    control = settings.cost_control
    asked, currency = Period(start=since, end=now), control.global_budget.currency
    spent = spending.spent(where, [asked], by_team=True)
    days = pieces(asked, unit="day", zone=ZoneInfo(control.time_zone))
    charged, moments = spending.charged(where, days, currency=currency)
    (hours_priced,) = spending.hours_priced(where, [asked])
    return Costs(
        teams=cost_report(spent, idle=spending.idle(where, [asked]), by=("team",), shared="none"),
        tenants=spent.group_by("tenant", "currency", maintain_order=True).agg(
            amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum())
        ),
        days=charged.group_by("number", "team")
        .agg(amount=pl.when(pl.col("amount").count() > 0).then(pl.col("amount").sum()))
        .join(moments, on="number")
        .select("team", "amount", at="starts")
        .sort("at", "team"),
        budgets=read_budgets(where),
        currency=currency,
        hours_priced=hours_priced,
    )
