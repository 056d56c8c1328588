alter table peaks_hourly add column calm double;
alter table peaks_hourly add column sustained double;
alter table peaks_hourly add column coverage double;
alter table peaks_hourly add column points bigint;
alter table peaks_hourly add column last_at timestamptz;
comment on column peaks_hourly.mean is 'The mean of the 5-minute means.';
comment on column peaks_hourly.calm is
    'The maximum outside of blasts; null when all of the hour was one.';
comment on column peaks_hourly.sustained is
    'The level that was held as long as the settings then called sustained, outside of blasts; null while the running hour is too short to say.';
comment on column peaks_hourly.coverage is 'The lowest coverage in the hour.';
comment on column peaks_hourly.points is
    'The 5-minute buckets with data; null for hours of before this was counted.';
comment on column peaks_hourly.last_at is 'The end of the newest bucket.';

-- What is known of past hours, from the buckets that are still here. 35 minutes, seven buckets,
-- are what the settings call sustained unless they say otherwise.
create temp table known_hours as
with blasts as (
    select tenant, "at" from rollups_5m where signal = 'blasting'
),
lingering as (
    select tenant, unnest(
        range("at", "at" + interval '4 hours', interval '5 minutes')
    ) as "at"
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
        time_bucket(interval '1 hour', rollups_5m."at") as "hour",
        rollups_5m.*,
        spoilt."at" is null or not (spoilt.blasting or signal in (
            'max_global_series_per_user', 'active_series', 'owned_series',
            'max_global_metadata_per_user'
        )) as is_calm
    from rollups_5m
    left join spoilt on spoilt.tenant = rollups_5m.tenant and spoilt."at" = rollups_5m."at"
),
hours as (
    select
        "hour" as "at", tenant, signal,
        avg(mean) as mean,
        max(max) filter (is_calm) as calm,
        max(max, 7) filter (is_calm) as held,
        min(coverage) as coverage,
        count(*) as points,
        max("at") + interval '5 minutes' as last_at
    from buckets
    group by all
)
select * exclude (held), held[-1] as sustained from hours;

update peaks_hourly set
    mean = known_hours.mean,
    calm = known_hours.calm,
    sustained = known_hours.sustained,
    coverage = known_hours.coverage,
    points = known_hours.points,
    last_at = known_hours.last_at
from known_hours
where peaks_hourly."at" = known_hours."at"
  and peaks_hourly.tenant = known_hours.tenant
  and peaks_hourly.signal = known_hours.signal;
-- Of the hours before those nobody knows any more whether they were calm.
update peaks_hourly set calm = max, last_at = "at" + interval '1 hour' where last_at is null;
drop table known_hours;

create table open_hours ("at" timestamptz not null);
comment on table open_hours is
    'Hours whose peaks were made while they were running; they are made anew when they are over.';
insert into open_hours select distinct "at" from peaks_hourly;

create table peaks_daily (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    max double not null,
    calm double,
    sustained double,
    mean double not null,
    sum double not null,
    count bigint not null,
    points bigint,
    hours bigint not null,
    coverage double,
    last_at timestamptz not null
);
comment on table peaks_daily is
    'Hourly peaks in UTC days; kept 400 days. The running day holds what is known of it.';
comment on column peaks_daily."at" is 'Start of the day, UTC.';
comment on column peaks_daily.sustained is 'The largest of the hours.';
comment on column peaks_daily.points is 'The 5-minute buckets with data.';
comment on column peaks_daily.hours is 'The hours with data.';
comment on column peaks_daily.coverage is 'The mean of the hours'' lowest coverage.';
comment on column peaks_daily.last_at is 'The end of the newest bucket.';

insert into peaks_daily
select
    time_bucket(interval '1 day', "at") as "at", tenant, signal,
    max(max), max(calm), max(sustained),
    sum(mean * coalesce(points, 12)) / sum(coalesce(points, 12)),
    sum(sum), sum(count)::bigint, sum(points)::bigint, count(*),
    avg(coverage), max(last_at)
from peaks_hourly
group by all
order by "at", signal, tenant;

create or replace view v_tenant_usage_hourly as
select
    "at" as hour, tenant, signal, max as peak, mean, count as samples,
    calm as calm_peak, sustained, coverage
from peaks_hourly;
comment on view v_tenant_usage_hourly is
    'Peak and mean of each signal of each tenant by hour, 400 days back; the hour is UTC.';
comment on column v_tenant_usage_hourly.calm_peak is 'The peak outside of blasts.';
comment on column v_tenant_usage_hourly.sustained is
    'The level that was held long enough to be no event, outside of blasts.';

create view v_tenant_usage_daily as
select
    cast("at" at time zone 'UTC' as date) as day, tenant, signal, max as peak,
    calm as calm_peak, sustained, mean, count as samples, hours, coverage
from peaks_daily;
comment on view v_tenant_usage_daily is
    'Peak and mean of each signal of each tenant by UTC day, 400 days back.';
comment on column v_tenant_usage_daily.calm_peak is 'The peak outside of blasts.';
comment on column v_tenant_usage_daily.sustained is
    'The level that was held long enough to be no event, outside of blasts.';
comment on column v_tenant_usage_daily.hours is 'Hours with data; below 24 the day is not whole.';
