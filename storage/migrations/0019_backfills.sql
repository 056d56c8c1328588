-- Which past days came from elsewhere, so that a backfill goes on where it stopped.
create table backfills (
    source varchar not null,
    day date not null,
    until timestamptz not null,
    state varchar not null,
    origin varchar not null,
    rows bigint not null,
    tenants bigint not null,
    hours_priced bigint not null,
    hours_missing bigint not null,
    tenant_hours_missing bigint not null,
    gaps json not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    run_id varchar not null,
    primary key (source, day)
);
comment on table backfills is 'The UTC days that a backfill has stored, each together with its usage and its costs.';
comment on column backfills.source is 'promql or file.';
comment on column backfills.until is 'The end of the last hour that was asked for; before midnight where the day was not over.';
comment on column backfills.state is 'done, or empty: nothing was there, and it is asked for again the next time.';
comment on column backfills.origin is 'The address that answered, or the name of the file.';
comment on column backfills.hours_missing is 'Hours of which nothing is known.';
comment on column backfills.tenant_hours_missing is 'Hours of single tenants, in hours that others have.';
comment on column backfills.gaps is 'Tenant, start and end of the longest of both; without a tenant, of all.';

create view v_backfills as
select
    day, source, state, origin, rows, tenants, hours_priced, hours_missing, tenant_hours_missing,
    gaps, until, started_at, ended_at,
    date_diff('millisecond', started_at, ended_at) / 1000.0 as seconds, run_id
from backfills;
comment on view v_backfills is 'Every day that came from a backfill: how much of it, and what is missing.';
