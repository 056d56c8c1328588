create table breakers (
    tenant varchar primary key,
    state varchar not null check (state in ('watch', 'open', 'half_open', 'growth', 'cooling')),
    since timestamptz not null,
    kinds varchar not null,
    because varchar not null,
    opened_at timestamptz,
    openings bigint not null,
    calm_since timestamptz
);
comment on table breakers is 'The breaker of each tenant that is not plainly closed.';

create table breaker_turns (
    "at" timestamptz not null,
    tenant varchar not null,
    before varchar not null,
    after varchar not null,
    kinds varchar not null,
    because varchar not null,
    evidence varchar not null,
    run_id varchar
);
comment on table breaker_turns is 'Every time that a breaker went from one state to another, and what it saw; kept 400 days.';

create table breaker_switches (
    tenant varchar primary key,
    "at" timestamptz not null,
    actor varchar not null,
    reason varchar not null
);
comment on table breaker_switches is 'Whose breaker is off by the word of a person; tenant '''' is everyone.';

create table breaker_thresholds (
    tenant varchar not null,
    kind varchar not null,
    threshold double not null,
    "at" timestamptz not null
);
comment on table breaker_thresholds is 'The thresholds that follow the limits and the traffic.';

create view v_breakers as
select tenant, state, since, kinds, because, opened_at, openings, calm_since from breakers;
comment on view v_breakers is 'The breaker of each tenant that is not plainly closed.';

create view v_breaker_turns as
select
    "at" as turned_at, tenant, before, after, kinds, because, evidence::json as evidence, run_id
from breaker_turns;
comment on view v_breaker_turns is 'Every time that a breaker turned, and what it saw.';
