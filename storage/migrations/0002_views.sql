create view demand_5m as
select "at", tenant, signal, max, mean, sum, count, coverage, "at" as last_at
from rollups_5m
where "at" not in (select "at" from unrolled_buckets)
union all
select
    time_bucket(interval '5 minutes', samples."at") as "at",
    tenant,
    signal,
    max(value) as max,
    avg(value) as mean,
    sum(value) as sum,
    count(*) as count,
    min(coverage) as coverage,
    max(samples."at") as last_at
from samples
where samples."at" >= (select min("at") from unrolled_buckets)
  and time_bucket(interval '5 minutes', samples."at") in (select "at" from unrolled_buckets)
group by 1, 2, 3;
comment on view demand_5m is
    'All that is known in 5-minute buckets: the rollups, and the samples not rolled up yet.';

create view v_tenant_limits as
with published as (
    select limits.*, revisions.finished_at as published_at
    from revision_limits as limits
    join revisions using (revision)
    where limits.revision = (select max(revision) from revisions where outcome = 'confirmed')
),
stacks as (
    select
        tenant,
        "limit" as limit_name,
        list(
            layer || ' ' || kind || ' ' || format('{:,.0f}', value) || ': ' || reason
            order by list_position(
                ['defaults', 'tier', 'optimized', 'budget', 'breaker', 'emergency', 'pin'], layer
            )
        ) as stack
    from layers
    where expires_at is null or expires_at > now()
    group by all
),
keys as (
    select tenant, "limit" as limit_name from published
    union
    select tenant, limit_name from limits_observed where tenant <> ''
)
select
    keys.tenant,
    keys.limit_name,
    coalesce(published.value, own.value) as value,
    coalesce(published.decided_by, 'defaults') as decided_by,
    published.reason,
    coalesce(published.beneath, own.value, cluster.value) as beneath,
    stacks.stack,
    published.expires_at,
    published.revision,
    published.published_at
from keys
left join published
    on published.tenant = keys.tenant and published."limit" = keys.limit_name
left join limits_observed as own
    on own.tenant = keys.tenant and own.limit_name = keys.limit_name
left join limits_observed as cluster
    on cluster.tenant = '' and cluster.limit_name = keys.limit_name
left join stacks
    on stacks.tenant = keys.tenant and stacks.limit_name = keys.limit_name;
comment on view v_tenant_limits is
    'The limit of each tenant as published last, the layer that decided it, and what lies beneath.';
comment on column v_tenant_limits.value is 'Newest confirmed revision, else the operator''s own value.';
comment on column v_tenant_limits.decided_by is 'The layer that had the last word.';
comment on column v_tenant_limits.beneath is 'The value without us; null when unknown.';
comment on column v_tenant_limits.stack is 'What every layer says now, lowest first.';

create view v_tenant_usage_hourly as
select "at" as hour, tenant, signal, max as peak, mean, count as samples
from peaks_hourly;
comment on view v_tenant_usage_hourly is
    'Peak and mean of each signal of each tenant by hour, 400 days back; the hour is UTC.';

create view v_cost_daily as
select
    cast("at" at time zone 'UTC' as date) as day,
    tenant,
    method,
    currency,
    sum(amount) as amount,
    count(*) as hours
from costs
group by all;
comment on view v_cost_daily is 'Cost of each tenant by UTC day and method.';
comment on column v_cost_daily.hours is 'Hours priced; below 24 the day is not complete.';

create view v_decisions as
select
    "at" as decided_at, flow, tenant, "limit" as limit_name, outcome, reason, detail,
    before, after, steps::json as steps, run_id
from decisions;
comment on view v_decisions is 'Every decision that differed from the one before, with its steps.';

create view v_audit as
select "at" as happened_at, category, component, action, tenant, actor, success, details, run_id
from audit;
comment on view v_audit is 'Who did what to whom, and whether it worked.';

create view v_layers as
select
    tenant, "limit" as limit_name, layer, kind, value, reason, evidence::json as evidence,
    written_at, expires_at, run_id
from layers
where expires_at is null or expires_at > now();
comment on view v_layers is 'What every layer says now, without what has expired.';

create view v_revisions as
select
    revision, "at" as begun_at, finished_at, outcome, detail, actor, sink, sha256,
    json_array_length(changes) as changed_limits, changes, evidence, run_id
from revisions;
comment on view v_revisions is 'Every revision without its document: what it changed and what became of it.';
