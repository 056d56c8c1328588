create table history_identity (name varchar not null);
comment on table history_identity is 'What tells this history from all others; one row, made with the first publication.';

create table writer_epochs (sink varchar primary key, epoch bigint not null);
comment on table writer_epochs is 'The epoch with which this history wrote to each sink at last.';

create table pauses (
    "at" timestamptz not null,
    actor varchar not null,
    reason varchar not null,
    until timestamptz
);
comment on table pauses is 'Why nothing is published now: the newest row that has not ended; no row, no pause.';

create table holds (
    tenant varchar not null,
    revision bigint not null,
    "at" timestamptz not null,
    actor varchar not null,
    reason varchar not null,
    until timestamptz
);
comment on table holds is 'Whose limits are held as an earlier revision said them; tenant '''' is everyone.';

create view v_holds as
select
    nullif(tenant, '') as tenant, revision, "at" as held_since, until as held_until, actor, reason
from holds
where until is null or until > now();
comment on view v_holds is 'What is held at an earlier revision; tenant null is everyone.';

create or replace view v_tenant_limits as
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
                ['defaults', 'tier', 'optimized', 'budget', 'breaker', 'emergency', 'hold', 'pin'],
                layer
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
