"""Make the peaks of hours and days, and the week that they make, anew from what is beneath them.

An hour is made from its 5-minute buckets, a day from its hours, each as a whole: running twice
changes nothing. What a blast asked for is no part of `calm` and `sustained`, because it is no
evidence of what is needed; the series of a blast stay in memory until the head is compacted, up
to four hours later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import Final

import duckdb

from policy.signals import ACTIVE_SERIES, BLASTING, OWNED_SERIES, SERIES
from storage.seasons import renew_seasons

# What stays in memory until the head is compacted, up to four hours after it was sent.
LINGERING: Final = (SERIES, ACTIVE_SERIES, OWNED_SERIES, "max_global_metadata_per_user")
HOUR: Final = timedelta(hours=1)
BUCKET: Final = timedelta(minutes=5)
BUCKETS_OF_HOUR: Final = HOUR // BUCKET

# The start of an hour or a day is reckoned by whole numbers: time_bucket, date_trunc and a cast to
# a date go by the calendar of a time zone, and take twenty times as long.

# The hours of fresh buckets, those after a blast, and those that have ended since they were made.
FRESH_HOURS: Final = """
    create or replace temp table fresh_hours as
    select make_timestamptz(epoch_us("at") // 3600000000 * 3600000000) as "at" from fresh
    union
    select make_timestamptz(epoch_us("at") // 3600000000 * 3600000000) + interval '1 hour' * later
    from fresh cross join range(1, 5) as lingering(later)
    where signal = $blasting
    union
    select "at" from open_hours where "at" + interval '1 hour' <= $now
"""
SPAN_OF_HOURS: Final = """select min("at"), max("at") + interval '1 hour' from fresh_hours"""
FRESH_PEAKS: Final = """
    create or replace temp table fresh_peaks as
    with blasts as (
        select tenant, "at" from rollups_5m
        where "at" >= $first - interval '4 hours' and "at" < $after and signal = $blasting
    ),
    lingering as (
        select tenant, unnest(range(
            greatest("at", $first),
            least("at" + interval '4 hours', $after),
            interval '5 minutes'
        )) as "at"
        from blasts
    ),
    spoilt as (
        select lingering.tenant, lingering."at", bool_or(blasts."at" is not null) as blasting
        from lingering left join blasts
            on blasts.tenant = lingering.tenant and blasts."at" = lingering."at"
        group by all
    ),
    buckets as (
        select
            make_timestamptz(epoch_us(rollups_5m."at") // 3600000000 * 3600000000) as "hour",
            rollups_5m.*,
            spoilt."at" is null
                or not (spoilt.blasting or list_contains($lingers::varchar[], signal)) as is_calm
        from rollups_5m
        left join spoilt on spoilt.tenant = rollups_5m.tenant and spoilt."at" = rollups_5m."at"
        where rollups_5m."at" >= $first and rollups_5m."at" < $after
            and make_timestamptz(epoch_us(rollups_5m."at") // 3600000000 * 3600000000)
                in (select "at" from fresh_hours)
    ),
    hours as (
        select
            "hour" as "at",
            tenant,
            signal,
            max(max) as max,
            max(max) filter (is_calm) as calm,
            max(max, $held_buckets) filter (is_calm) as held,
            -- Each five minutes count alike, however many samples were stored of them.
            avg(mean) as mean,
            sum(sum) as sum,
            sum(count)::bigint as count,
            min(coverage) as coverage,
            count(*) as points,
            max("at") + interval '5 minutes' as last_at
        from buckets
        group by all
    )
    select
        * exclude (held),
        case when len(held) = $held_buckets or "at" + interval '1 hour' <= $now
            then held[-1] end as sustained
    from hours
    order by "at", signal, tenant
"""
REMOVE_OLD_PEAKS: Final = """
    delete from peaks_hourly using fresh_peaks
    where peaks_hourly."at" >= $first and peaks_hourly."at" < $after
      and peaks_hourly."at" = fresh_peaks."at"
      and peaks_hourly.tenant = fresh_peaks.tenant
      and peaks_hourly.signal = fresh_peaks.signal
"""
INSERT_PEAKS: Final = "insert into peaks_hourly by name select * from fresh_peaks"
CLOSE_HOURS: Final = """
    delete from open_hours where "at" in (select "at" from fresh_hours)
"""
OPEN_HOURS: Final = """
    insert into open_hours select "at" from fresh_hours where "at" + interval '1 hour' > ?
"""
FRESH_DAYS: Final = """
    create or replace temp table fresh_days as
    select distinct make_timestamptz(epoch_us("at") // 86400000000 * 86400000000) as "at"
    from fresh_hours
"""
SPAN_OF_DAYS: Final = """select min("at"), max("at") + interval '1 day' from fresh_days"""
REMOVE_OLD_DAYS: Final = """
    delete from peaks_daily
    where "at" >= $first and "at" < $after and "at" in (select "at" from fresh_days)
"""
# Ordered as all rows of this table are: by day, and within it by signal.
INSERT_DAYS: Final = """
    insert into peaks_daily by name
    select
        make_timestamptz(epoch_us("at") // 86400000000 * 86400000000) as "at",
        tenant,
        signal,
        max(max) as max,
        max(calm) as calm,
        max(sustained) as sustained,
        sum(mean * coalesce(points, 12)) / sum(coalesce(points, 12)) as mean,
        sum(sum) as sum,
        sum(count)::bigint as count,
        sum(points)::bigint as points,
        count(*) as hours,
        avg(coverage) as coverage,
        max(last_at) as last_at
    from peaks_hourly
    where peaks_hourly."at" >= $first and peaks_hourly."at" < $after
        and make_timestamptz(epoch_us(peaks_hourly."at") // 86400000000 * 86400000000)
            in (select "at" from fresh_days)
    group by 1, 2, 3
    order by 1, 3, 2
"""
DROP_TEMPORARY: Final = "drop table fresh_hours; drop table fresh_peaks; drop table fresh_days"


def renew_peaks(
    cursor: duckdb.DuckDBPyConnection, *, now: datetime, sustained_for: timedelta
) -> None:
    """Make the hours and days of the buckets in the table `fresh` anew, in its transaction.

    Args:
        cursor: inside of a transaction, with the temporary table `fresh`.
        now: what is over by then is whole.
        sustained_for: how long a level has to be held within an hour to be `sustained`.
    """
    cursor.execute(FRESH_HOURS, {"blasting": BLASTING, "now": now})
    first, after = _span(cursor, SPAN_OF_HOURS)
    if first is None:
        return
    held_buckets = min(max(ceil(sustained_for / BUCKET), 1), BUCKETS_OF_HOUR)
    cursor.execute(
        FRESH_PEAKS,
        {
            "first": first,
            "after": after,
            "blasting": BLASTING,
            "lingers": list(LINGERING),
            "held_buckets": held_buckets,
            "now": now,
        },
    )
    cursor.execute(REMOVE_OLD_PEAKS, {"first": first, "after": after})
    cursor.execute(INSERT_PEAKS)
    cursor.execute(CLOSE_HOURS)
    cursor.execute(OPEN_HOURS, [now])
    cursor.execute(FRESH_DAYS)
    first, after = _span(cursor, SPAN_OF_DAYS)
    cursor.execute(REMOVE_OLD_DAYS, {"first": first, "after": after})
    cursor.execute(INSERT_DAYS, {"first": first, "after": after})
    renew_seasons(cursor, now=now)
    cursor.execute(DROP_TEMPORARY)


def _span(
    cursor: duckdb.DuckDBPyConnection, statement: str
) -> tuple[datetime | None, datetime | None]:
    """The bounds of the table in values, by which DuckDB skips the blocks outside of them."""
    first, after = cursor.execute(statement).fetchone() or (None, None)
    return first, after
