create table backtests (
    id bigint primary key,
    "at" timestamptz not null,
    since timestamptz not null,
    until timestamptz not null,
    policy varchar not null,
    passed boolean not null,
    result json not null,
    run_id varchar
);
comment on table backtests is 'What the settings of the time would have come to on the stored past.';
comment on column backtests.policy is 'A digest of the settings that decide limits: another one is another policy.';
comment on column backtests.result is 'The totals, what stands against the policy, and its worst limits.';

create view v_backtests as
select
    id, "at" as made_at, since, until, policy, passed,
    (result ->> '$.totals.tenants')::bigint as tenants,
    (result ->> '$.totals.hours_refused')::bigint as hours_refused,
    (result ->> '$.totals.refused_share')::double as refused_share,
    (result ->> '$.totals.headroom')::double as headroom,
    (result ->> '$.totals.changes_per_week')::double as changes_per_week,
    result ->> '$.why' as why
from backtests;
comment on view v_backtests is 'Every stored backtest: what it judged and what came of it.';
