"""What creeps up day by day: the days, their CUSUM, and what was told of them.

A day is judged once, when it is over, for all tenants at once; days that nobody judged are made up
for. Each needs the hours of that day and of the same weekday in the four weeks before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl

from policy.leaks import CREEPING, LEAKS, SLACK, WATCHED
from storage.database import Database, read_frame, write_frame

DAY: Final = timedelta(days=1)
WEEKS: Final = 4
MOST_DAYS: Final = 35  # made up for at once
MOST_SUM: Final = 16.0  # what is over is forgotten in a month

# What is not judged yet, of the days that are over: from the first with hours on.
OPEN_DAYS: Final = """
    with span as (
        select greatest(
            coalesce(
                (select max("at") + interval '1 day' from creep_days),
                (select min("at") from peaks_hourly)
            ),
            $today::timestamptz - interval '1 day' * $most
        ) as first
    )
    select make_timestamptz(epoch_us(day) // 86400000000 * 86400000000) as "at"
    from span, unnest(range(first, $today::timestamptz, interval '1 day')) as days(day)
    order by 1
"""
HOURS: Final = """
    create or replace temp table creep_hours (
        week integer, "at" timestamptz, tenant varchar, signal varchar, mean double, calm double
    )
"""
# One week at a time: DuckDB skips all other blocks by a constant.
HOURS_OF_WEEK: Final = """
    insert into creep_hours
    select $week, "at" + interval '7 days' * $week, tenant, signal, mean, calm from peaks_hourly
    where "at" >= $first and "at" < $after and mean > 0 and calm is not null
      and list_contains($signals::varchar[], signal)
"""
INSERT_DAY: Final = """
    insert into creep_days by name
    with usual as (
        select
            "at" + interval '1 hour' * around as "at", tenant, signal,
            median(ln(mean)) as mid, mad(ln(mean)) as spread, count(*) as points
        from creep_hours cross join (values (-1), (0), (1)) as arounds(around)
        where week > 0
        group by all
        having points >= 6
    ),
    hours as (
        select
            tenant, signal, mean, calm, mid,
            ln(mean) - mid as rise, (ln(mean) - mid) / greatest(1.4826 * spread, 0.08) as z
        from creep_hours left join usual using ("at", tenant, signal)
        where week = 0
    ),
    fresh as (
        select
            tenant, signal, max(calm) as peak,
            -- Less at the mercy of a few odd hours than their mean.
            exp(coalesce(median(rise) + avg(mid), avg(ln(mean)))) as level,
            case when count(z) >= 12 then median(rise) end as rise,
            case when count(z) >= 12 then median(z) end as z
        from hours
        group by all
        having count(*) >= 12
    ),
    before as (
        select tenant, signal, arg_max(sum, "at") as sum, arg_max_null(since, "at") as since
        from creep_days
        where "at" >= $day - interval '7 days' and "at" < $day
        group by all
    ),
    summed as (
        select
            fresh.*, before.since as began,
            least($most, greatest(0, coalesce(before.sum, 0) + coalesce(z - $slack, 0))) as sum
        from fresh left join before using (tenant, signal)
    )
    select
        $day as "at", * exclude (began),
        case when sum > 0 then coalesce(began, $day) end as since
    from summed
    order by signal, tenant
"""
DROP_HOURS: Final = "drop table creep_hours"
NEWEST_DAY: Final = 'select max("at") from creep_days'
CREEPING_NOW: Final = """
    with known as (
        select * from creep_days where "at" > $day - interval '91 days' and "at" <= $day
    ),
    newest as (
        select
            tenant, signal, "at" as day, sum, level, peak,
            greatest(coalesce(since, "at"), "at" - interval '27 days') as since
        from known where "at" = $day
    ),
    placed as (
        select
            *,
            day - interval '7 days' * cast(ceil((date_diff('day', since, day) + 1) / 7) as integer)
                as base
        from newest
    ),
    steps as (
        select
            tenant, signal, "at",
            rise - first_value(rise) over (
                partition by tenant, signal order by "at"
                range between interval '2 days' preceding and current row
            ) as at_once
        from known
    ),
    largest as (
        select tenant, signal, max(at_once) as at_once
        from steps join placed using (tenant, signal)
        where steps."at" > placed.base
        group by all
    ),
    weeks as (
        select later.tenant, later.signal, avg(ln(later.level / earlier.level)) as weekly
        from known as later join known as earlier
            on earlier.tenant = later.tenant and earlier.signal = later.signal
            and earlier."at" = later."at" - interval '7 days'
        where later."at" > $day - interval '7 days'
        group by all
    )
    select
        placed.tenant, placed.signal, day, placed.sum, placed.since, start.level as before,
        placed.level, placed.peak, at_once, weekly,
        ln(start.level / past.level) / 21 as past,
        ln(beside.level / beside_start.level) as other
    from placed
    left join known as start on start.tenant = placed.tenant
        and start.signal = placed.signal and start."at" = placed.base
    left join known as past on past.tenant = placed.tenant
        and past.signal = placed.signal and past."at" = placed.base - interval '21 days'
    left join known as beside on beside.tenant = placed.tenant
        and beside.signal <> placed.signal and beside."at" = placed.day
    left join known as beside_start on beside_start.tenant = placed.tenant
        and beside_start.signal <> placed.signal and beside_start."at" = placed.base
    left join largest on largest.tenant = placed.tenant and largest.signal = placed.signal
    left join weeks on weeks.tenant = placed.tenant and weeks.signal = placed.signal
    where placed.sum > 0
        or exists (from leaks where leaks.tenant = placed.tenant and over_at is null)
    order by placed.tenant, placed.signal
"""
RUNNING: Final = "select * from leaks where over_at is null order by tenant, signal"
FORGET_RUNNING: Final = "delete from leaks where over_at is null"
INSERT_LEAKS: Final = "insert into leaks by name select * from incoming"
# What is over begins again from nothing.
START_AGAIN: Final = """
    update creep_days set sum = 0, since = null from incoming
    where creep_days.tenant = incoming.tenant
      and creep_days."at" = (select max("at") from creep_days)
"""


def creep_on(database: Database, *, now: datetime) -> datetime | None:
    """Judge the days that are over and were not judged; the newest that was, None: none ever.

    Args:
        database: the history, rolled up.
        now: aware UTC.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    given: dict[str, object] = {"today": today, "most": MOST_DAYS}
    for (day,) in database.cursor().execute(OPEN_DAYS, given).fetchall():
        _judge(database, day)
    newest = database.cursor().execute(NEWEST_DAY).fetchone()
    return newest[0] if newest else None


def creeping(database: Database, *, day: datetime) -> pl.DataFrame:
    """CREEPING to the end of a day, of those that rise or are told of."""
    return read_frame(database, CREEPING_NOW, {"day": day}, schema=CREEPING)


def running_leaks(database: Database) -> pl.DataFrame:
    """LEAKS that are not over."""
    return read_frame(database, RUNNING, schema=LEAKS)


def replace_running(database: Database, running: pl.DataFrame, *, over: pl.DataFrame) -> None:
    """Put LEAKS in the place of those that were running; `over` are those that no longer are."""
    kept = pl.concat([running, over])
    with database.transaction() as cursor:
        cursor.execute(FORGET_RUNNING)
        if not kept.is_empty():
            write_frame(cursor, INSERT_LEAKS, kept)
        if not over.is_empty():
            write_frame(cursor, START_AGAIN, over)


def _judge(database: Database, day: datetime) -> None:
    """One transaction for each day: what was made up for stays when a later one fails."""
    with database.transaction() as cursor:
        cursor.execute(HOURS)
        for week in range(WEEKS + 1):
            first = day - 7 * week * DAY
            around = timedelta(hours=1 if week else 0)
            cursor.execute(
                HOURS_OF_WEEK,
                {
                    "week": week,
                    "first": first - around,
                    "after": first + DAY + around,
                    "signals": list(WATCHED),
                },
            )
        cursor.execute(INSERT_DAY, {"day": day, "most": MOST_SUM, "slack": SLACK})
        cursor.execute(DROP_HOURS)
