-- "at" and "limit" are reserved words of DuckDB: they are quoted in tables, and the views
-- for analysts use other names. The large append-only tables have no index: DuckDB keeps
-- indexes in memory, and idempotence comes from delete and insert in one transaction.
--
-- No check calls a function: DuckDB cannot replay a comment on a column of such a table from
-- its write-ahead log, and the file would not open after a crash (duckdb/duckdb#20543).

create table samples (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    value double not null,
    coverage double
);
comment on table samples is 'What each tenant asked of the cluster, as collected; kept 48 hours.';
comment on column samples.signal is 'The name of a Mimir limit, or of another signal; the value is in its unit.';
comment on column samples.coverage is 'Pods that answered / pods known, 0..1.';

create table unrolled_buckets ("at" timestamptz not null);
comment on table unrolled_buckets is 'Starts of the 5-minute buckets with samples newer than their rollup, once per append.';

create table watermarks (name varchar primary key, "at" timestamptz not null);
comment on table watermarks is 'samples_kept_since: raw samples before it have been deleted.';

create table rollups_5m (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    max double not null,
    mean double not null,
    sum double not null,
    count bigint not null,
    coverage double,
    origin varchar not null check (origin in ('measured', 'imported'))
);
comment on table rollups_5m is 'Samples in 5-minute buckets; kept 30 days.';
comment on column rollups_5m."at" is 'Start of the bucket, UTC.';
comment on column rollups_5m.coverage is 'The lowest coverage in the bucket.';
comment on column rollups_5m.origin is 'measured by us, or imported by a backfill; measured wins.';

create table peaks_hourly (
    "at" timestamptz not null,
    tenant varchar not null,
    signal varchar not null,
    max double not null,
    mean double not null,
    sum double not null,
    count bigint not null
);
comment on table peaks_hourly is 'Rollups in hours; kept 400 days. The running hour holds what is known of it.';

create table limits_observed (
    tenant varchar not null,
    limit_name varchar not null,
    value double not null,
    observed_at timestamptz not null
);
comment on table limits_observed is 'The operator''s own limits beneath ours; tenant '''' is the default of the cluster.';

create table layers (
    tenant varchar not null,
    "limit" varchar not null,
    layer varchar not null,
    kind varchar not null check (kind in ('set', 'cap')),
    value double not null,
    reason varchar not null,
    evidence varchar,
    written_at timestamptz not null,
    expires_at timestamptz,
    run_id varchar
);
comment on table layers is 'What each flow says of each limit; the cascade composes it into what is published.';

create table decisions (
    "at" timestamptz not null,
    tenant varchar not null,
    "limit" varchar not null,
    outcome varchar not null,
    reason varchar,
    detail varchar,
    before double,
    after double,
    steps varchar,
    run_id varchar,
    flow varchar not null
);
comment on table decisions is 'What was decided and why; a row only where it differs from the one before.';

create sequence revision_numbers;
create table revisions (
    revision bigint primary key default nextval('revision_numbers'),
    "at" timestamptz not null,
    run_id varchar,
    actor varchar not null,
    sink varchar not null,
    document varchar not null,
    sha256 varchar not null,
    changes json not null,
    outcome varchar not null default 'intended'
        check (outcome in ('intended', 'confirmed', 'failed', 'reverted', 'inconclusive')),
    detail varchar,
    evidence json,
    finished_at timestamptz
);
comment on table revisions is 'Every document that was to be published, what it changed and what became of it.';

create table revision_limits (
    revision bigint not null,
    tenant varchar not null,
    "limit" varchar not null,
    value double not null,
    decided_by varchar not null,
    reason varchar,
    beneath double,
    expires_at timestamptz
);
comment on table revision_limits is 'The limits of the newest confirmed revision and of those begun since.';

create table audit (
    "at" timestamptz not null,
    category varchar not null,
    component varchar not null,
    action varchar not null,
    tenant varchar,
    actor varchar not null,
    run_id varchar,
    success boolean not null,
    details json not null
);
comment on table audit is 'Who did what to whom, and whether it worked.';

create table costs (
    "at" timestamptz not null,
    tenant varchar not null,
    method varchar not null,
    amount decimal(18, 6) not null,
    currency varchar not null,
    quantity double,
    price decimal(18, 9),
    run_id varchar
);
comment on table costs is 'What each tenant cost in each hour by each method; one row per hour, tenant and method.';
comment on column costs."at" is 'Start of the hour, UTC.';

create table tenants (
    tenant varchar primary key,
    first_seen timestamptz not null,
    last_seen timestamptz not null
);
comment on table tenants is 'Every tenant that was ever seen.';

create table runs (
    run_id varchar not null,
    flow varchar not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    outcome varchar not null,
    summary json
);
comment on table runs is 'Every run of a flow and how it ended.';
