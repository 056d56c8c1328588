create table standings (
    "at" timestamptz not null,
    tenant varchar not null,
    "limit" varchar not null,
    value double,
    recommended double,
    proposed double,
    demand double,
    recent double,
    utilisation double,
    hit_probability double,
    hit_days bigint,
    lower double,
    upper double,
    confidence double,
    severity varchar not null,
    provision varchar,
    pressed_days_ago bigint
);
comment on table standings is 'How each limit stood at the newest run of optimize.';

create view v_standings as
select
    "at" as judged_at, tenant, "limit" as limit_name, value, recommended, proposed,
    demand, recent as recent_peak, utilisation, hit_probability, hit_days,
    lower as lower_bound, upper as upper_bound, confidence, severity, provision,
    pressed_days_ago as refused_days_ago
from standings;
comment on view v_standings is
    'How each limit stood at the newest run of optimize: what it is and should be, how full it is and how likely it is hit.';
comment on column v_standings.value is 'The limit in force; null when not known.';
comment on column v_standings.recommended is 'What the demand asks for; null for want of data.';
comment on column v_standings.proposed is
    'What a run would set next, also where that is left to people; null: nothing.';
comment on column v_standings.recent_peak is 'The highest demand of the last 8 days, events held down.';
comment on column v_standings.utilisation is 'The recent peak of the limit, 0 to 1 and above.';
comment on column v_standings.hit_probability is
    'That demand exceeds the limit within 24 hours; null below three days.';
comment on column v_standings.hit_days is 'Days of the window that would have exceeded it.';
comment on column v_standings.severity is 'critical, warning, ok or unknown.';
comment on column v_standings.provision is 'over, under or fits.';
comment on column v_standings.refused_days_ago is
    'Days since something was refused for want of the limit; null: never in the window.';
