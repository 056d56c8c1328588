-- Costs by component, at list prices, beside what the method books.
alter table costs alter amount type decimal(18, 9);
alter table costs alter amount drop not null;
alter table costs drop column price;
alter table costs add column unknown varchar;
alter table costs add column covered_seconds double;
alter table costs add column samples double;
alter table costs add column series_hours double;
alter table costs add column queries double;
alter table costs add column query_seconds double;
alter table costs add column stored_gb_months double;
alter table costs add column core_hours double;
alter table costs add column memory_gb_hours double;
alter table costs add column disk_gb_hours double;
alter table costs add column samples_amount decimal(18, 9);
alter table costs add column series_amount decimal(18, 9);
alter table costs add column queries_amount decimal(18, 9);
alter table costs add column storage_amount decimal(18, 9);
alter table costs add column resource_amount decimal(18, 9);
update costs set samples = quantity, samples_amount = amount where method = 'samples';
alter table costs drop column quantity;
comment on table costs is 'What each tenant cost in each hour; one row per hour and tenant.';
comment on column costs.method is 'What `amount` counts: samples, series, queries, composite or resource.';
comment on column costs.amount is 'By the method; null when nothing that it counts has a price.';
comment on column costs.unknown is 'Components that the method counts and that have no price or no measurement.';
comment on column costs.covered_seconds is 'The seconds of the hour that were measured; only they are priced.';
comment on column costs.samples is 'Samples that Mimir accepted.';
comment on column costs.series_hours is 'Active series times hours.';
comment on column costs.query_seconds is 'Seconds of queriers, and of rules.';
comment on column costs.stored_gb_months is 'What the samples of the hour will have taken of object storage.';
comment on column costs.core_hours is 'By Mimir''s capacity planning, like memory_gb_hours and disk_gb_hours.';
comment on column costs.samples_amount is 'At list price, like the other amounts of a component; null without a price.';

create table bills (
    "at" timestamptz primary key,
    currency varchar not null,
    amount decimal(18, 9) not null
);
comment on table bills is 'What the whole cluster cost in each hour, by the price list''s monthly bill.';

create table teams (
    tenant varchar primary key,
    team varchar not null
);
comment on table teams is 'The team of each tenant, as the settings had it at the newest run of cost; who is missing belongs to none.';

create table usage_imported (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    mean double not null,
    covered_seconds double not null,
    origin varchar not null,
    imported_at timestamptz not null
);
comment on table usage_imported is 'Hourly usage from elsewhere: a backfill or a file. What was measured wins over it.';
comment on column usage_imported.origin is 'backfill, or the name of the file.';

create view v_usage_hourly as
select
    "at" as hour, tenant, signal, mean, coalesce(points, 12) * 300.0 as covered_seconds,
    'measured' as origin
from peaks_hourly
union all
select "at", tenant, signal, mean, covered_seconds, origin
from usage_imported
anti join peaks_hourly using ("at", tenant, signal);
comment on view v_usage_hourly is
    'The mean of each signal of each tenant by hour, measured or imported; the hour is UTC.';

create view v_cost_hourly as
select
    costs."at" as hour, tenant, coalesce(team, 'unattributed') as team, method, currency, amount,
    unknown, covered_seconds, samples, series_hours, queries, query_seconds, stored_gb_months,
    core_hours, memory_gb_hours, disk_gb_hours,
    samples_amount, series_amount, queries_amount, storage_amount, resource_amount
from costs left join teams using (tenant);
comment on view v_cost_hourly is 'Cost of each tenant by hour, with what it is made of and its team.';

create view v_cost_idle as
with charges as (
    select "at", sum(amount) as charged from costs group by "at"
)
select
    bills."at" as hour, bills.currency, bills.amount as bill,
    coalesce(charged, 0) as charged, bills.amount - coalesce(charged, 0) as idle
from bills left join charges on charges."at" = bills."at";
comment on view v_cost_idle is
    'What the bill of an hour has beyond what tenants are charged; below zero, prices exceed it.';

create or replace view v_cost_daily as
select
    -- The date is reckoned by whole numbers: a cast goes by a calendar, and takes far longer.
    date '1970-01-01' + (epoch_us("at") // 86400000000)::integer as day,
    tenant,
    coalesce(team, 'unattributed') as team,
    method,
    currency,
    sum(amount) as amount,
    count(*) as hours,
    sum(covered_seconds) / 3600 as covered_hours
from costs left join teams using (tenant)
group by all;
comment on view v_cost_daily is 'Cost of each tenant by UTC day and method.';
comment on column v_cost_daily.hours is 'Hours priced; below 24 the day is not complete.';
comment on column v_cost_daily.covered_hours is 'Hours measured, which is what was priced.';
