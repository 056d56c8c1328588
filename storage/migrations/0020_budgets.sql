create table budgets (
    "at" timestamptz not null,
    scope varchar not null,
    name varchar not null,
    unit varchar not null,
    starts timestamptz not null,
    ends timestamptz not null,
    currency varchar not null,
    budget decimal(38, 9) not null,
    enforced boolean not null,
    spent decimal(38, 9),
    idle decimal(38, 9),
    "left" decimal(38, 9),
    used double,
    passed double not null,
    hours bigint not null,
    method varchar,
    p10 double,
    p50 double,
    p90 double,
    over_probability double,
    crosses_on date,
    crosses_early_on date
);
comment on table budgets is 'How each budget stood at the newest run of cost.';

create view v_budget_status as
select
    "at" as judged_at, scope, name, unit as period, starts as period_starts, ends as period_ends,
    currency, budget, spent, "left" as remaining, used as used_ratio, passed as passed_ratio,
    idle as idle_spent, hours as priced_hours, enforced,
    method as forecast_method, p10 as forecast_p10, p50 as forecast_p50, p90 as forecast_p90,
    over_probability, crosses_on, crosses_early_on
from budgets;
comment on view v_budget_status is
    'How each budget stood at the newest run of cost: what is spent and left, and what the period will come to.';
comment on column v_budget_status.scope is 'global, team or tenant; of global the name is all.';
comment on column v_budget_status.period is 'day, week, month or year, in costControl.timeZone.';
comment on column v_budget_status.spent is 'Null while no hour of the period is priced.';
comment on column v_budget_status.idle_spent is
    'The part of what is spent that nobody used, of the scope global; null where no bill is known.';
comment on column v_budget_status.enforced is 'Whether it may cap limits.';
comment on column v_budget_status.forecast_method is
    'holt-winters, theil-sen, or null: not enough history, and so no figures.';
comment on column v_budget_status.forecast_p50 is 'What the whole period will come to; half of the paths end below.';
comment on column v_budget_status.over_probability is 'The part of the paths that exceed the budget, 0 to 1.';
comment on column v_budget_status.crosses_on is
    'The day on which half of the paths have exceeded the budget; null: not in this period, or already.';
comment on column v_budget_status.crosses_early_on is 'The same of a tenth of the paths.';

create table cost_alerts (
    kind varchar not null,
    scope varchar not null,
    name varchar not null,
    unit varchar not null,
    starts timestamptz,
    threshold double not null,
    severity varchar not null,
    reached double not null,
    "at" timestamptz not null,
    over_at timestamptz,
    because varchar not null,
    evidence json not null
);
comment on table cost_alerts is 'What was told of costs, and when it was over.';

create view v_cost_alerts as
select
    kind, scope, name, unit as period, starts as period_starts, threshold, severity,
    reached, "at" as began_at, over_at, because, evidence
from cost_alerts;
comment on view v_cost_alerts is
    'What was told of costs: thresholds of budgets, burn rates, unusual costs of a tenant.';
comment on column v_cost_alerts.kind is 'threshold, burn or anomaly.';
comment on column v_cost_alerts.threshold is
    'Percent of a budget, a burn rate, or how many deviations from the usual.';
comment on column v_cost_alerts.reached is 'What it was when it was told, in the same unit.';
comment on column v_cost_alerts.severity is 'info, warning or critical.';
comment on column v_cost_alerts.over_at is 'Null while it lasts; a period that ended is over.';

create table savings (
    "at" timestamptz not null,
    kind varchar not null,
    tenant varchar not null,
    "limit" varchar,
    currency varchar not null,
    exposure decimal(38, 9),
    avoided decimal(38, 9),
    realised decimal(38, 9) not null,
    because varchar not null,
    command varchar not null
);
comment on table savings is 'What the newest run of cost recommends.';

create view v_savings as
select
    "at" as judged_at, kind, tenant, "limit" as limit_name, currency,
    exposure as exposure_cut, avoided as spend_avoided, realised as spend_realised,
    because, command
from savings;
comment on view v_savings is 'What the newest run of cost recommends, each with three figures a month.';
comment on column v_savings.exposure_cut is
    'What the worst bill that limits allow would fall by; nobody pays it today. Null without a price.';
comment on column v_savings.spend_avoided is 'What the forecast would fall by; null: not known.';
comment on column v_savings.spend_realised is 'Zero while it is a recommendation.';
