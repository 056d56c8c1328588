-- The bill charged whole, and what limits reserve, priced beside usage.
alter table costs add column listed_amount decimal(18, 9);
alter table costs add column samples_limit double;
alter table costs add column series_limit double;
alter table costs add column reserved_amount decimal(38, 9);
alter table costs add column reservable_amount decimal(38, 9);
comment on column costs.listed_amount is 'The amount at list price, where it was scaled to the bill; else null.';
comment on column costs.samples_limit is 'ingestion_rate in force; null: not known, or no limit.';
comment on column costs.series_limit is 'max_global_series_per_user in force; null: not known, or no limit.';
comment on column costs.reserved_amount is 'What the limits in force would cost, used in full; null where one that counts is not known.';
comment on column costs.reservable_amount is 'What of the amount such limits bound; without queries.';

create table cost_teams (
    "at" timestamptz not null,
    tenant varchar not null,
    team varchar not null,
    amount decimal(18, 9),
    samples_amount decimal(18, 9),
    series_amount decimal(18, 9),
    queries_amount decimal(18, 9),
    storage_amount decimal(18, 9),
    resource_amount decimal(18, 9)
);
comment on table cost_teams is 'What each team was charged of tenants that several share; with the unattributed rest, all of it.';

create or replace view v_cost_hourly as
select
    costs."at" as hour, tenant, coalesce(team, 'unattributed') as team, method, currency, amount,
    unknown, covered_seconds, samples, series_hours, queries, query_seconds, stored_gb_months,
    core_hours, memory_gb_hours, disk_gb_hours,
    samples_amount, series_amount, queries_amount, storage_amount, resource_amount,
    listed_amount, samples_limit, series_limit, reserved_amount, reservable_amount
from costs left join teams using (tenant);
comment on view v_cost_hourly is 'Cost of each tenant by hour, with what it is made of, what its limits reserve, and its team.';
comment on column v_cost_hourly.listed_amount is 'At list price, where the amount was scaled to the bill; else null.';
comment on column v_cost_hourly.reserved_amount is 'What the limits in force would cost, used in full; null where one that counts is not known.';
comment on column v_cost_hourly.reservable_amount is 'What of the amount such limits bound; over reserved_amount it is how much of them is used.';

create view v_cost_team_hourly as
select
    costs."at" as hour, tenant, coalesce(cost_teams.team, teams.team, 'unattributed') as team,
    method, currency,
    if(cost_teams.team is null, costs.amount, cost_teams.amount) as amount,
    if(cost_teams.team is null, costs.samples_amount, cost_teams.samples_amount) as samples_amount,
    if(cost_teams.team is null, costs.series_amount, cost_teams.series_amount) as series_amount,
    if(cost_teams.team is null, costs.queries_amount, cost_teams.queries_amount) as queries_amount,
    if(cost_teams.team is null, costs.storage_amount, cost_teams.storage_amount) as storage_amount,
    if(cost_teams.team is null, costs.resource_amount, cost_teams.resource_amount) as resource_amount,
    cost_teams.team is not null as attributed
from costs left join cost_teams using ("at", tenant) left join teams using (tenant);
comment on view v_cost_team_hourly is 'Cost of each team by tenant and hour: of tenants that several share, by label.';
comment on column v_cost_team_hourly.attributed is 'The tenant is divided in this hour: by label, with an unattributed rest.';
