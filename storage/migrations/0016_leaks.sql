create table creep_days (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    level double not null,
    peak double not null,
    rise double,
    z double,
    sum double not null,
    since timestamptz
);
comment on table creep_days is
    'How each tenant''s series and samples/s were each UTC day against the same hours of past weeks; kept 90 days.';
comment on column creep_days.level is 'The geometric mean of the hours, without blasts, freed from single odd hours.';
comment on column creep_days.rise is
    'The median of ln(hour / what is usual in that hour); null where that is not known.';
comment on column creep_days.sum is 'CUSUM of z - 0.5, at least 0 and at most 16.';
comment on column creep_days.since is 'The first day of those that the sum is of; null while it is 0.';

create table leaks (
    tenant varchar not null,
    signal varchar not null,
    kind varchar not null check (kind in ('leak', 'growth')),
    began_at timestamptz not null,
    told_at timestamptz not null,
    from_value double not null,
    to_value double not null,
    per_day double not null,
    allowed double,
    reached_at timestamptz,
    because varchar not null,
    over_at timestamptz
);
comment on table leaks is 'What crept up day by day, and whether it is over; kept 400 days after that.';

create view v_leaks as
select
    tenant, signal, kind, began_at, told_at, from_value, to_value, per_day, allowed,
    reached_at, because, over_at
from leaks;
comment on view v_leaks is
    'Series and samples/s that crept up day by day; over_at is null while they still do.';

create table breaker_metrics (
    "at" timestamptz not null,
    tenant varchar not null,
    metric varchar not null,
    series bigint not null,
    total bigint not null
);
comment on table breaker_metrics is
    'The metrics with the most series of tenants whose breaker is not closed, each time that they were asked for.';

create view v_breaker_metrics as
select "at" as asked_at, tenant, metric, series, total
from breaker_metrics
where tenant in (select tenant from breakers)
qualify "at" = max("at") over (partition by tenant);
comment on view v_breaker_metrics is
    'The metrics with the most series of each tenant whose breaker is not closed, as asked last; total is all its series.';

create table cluster_rises (
    kind varchar not null,
    began_at timestamptz not null,
    value double not null,
    usual double not null,
    z double,
    because varchar not null,
    tenants varchar not null,
    over_at timestamptz,
    grown boolean not null default false
);
comment on table cluster_rises is
    'When all tenants together asked for far more than usual, and who of them; kept 400 days.';
comment on column cluster_rises.grown is 'It held for a day, and is usual since.';

create view v_cluster_rises as
select
    kind, began_at, over_at, value, usual, z, because, tenants::json as tenants, grown
from cluster_rises;
comment on view v_cluster_rises is
    'When all tenants together asked for far more than usual; over_at is null while they do.';
