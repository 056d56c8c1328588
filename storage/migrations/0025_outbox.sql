create table incidents (
    incident uuid not null,
    subject varchar not null,
    kind varchar not null,
    component varchar not null,
    tenant varchar,
    priority varchar not null,
    state varchar not null,
    title varchar not null,
    lasts boolean not null,
    simulated boolean not null,
    times bigint not null,
    opened_at timestamptz not null,
    newest_at timestamptz not null,
    told_at timestamptz not null,
    kinds varchar not null,
    flaps bigint not null,
    over_at timestamptz,
    escalated_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by varchar,
    acknowledgement_told boolean not null
);
comment on table incidents is 'What alerts belong together, and whether it is over.';

create table deliveries (
    delivery uuid not null,
    place bigint not null,
    incident uuid not null,
    alert uuid not null,
    channel varchar not null,
    address varchar not null,
    state varchar not null,
    priority varchar not null,
    tells varchar not null,
    attempts bigint not null,
    entered_at timestamptz not null,
    not_before timestamptz not null,
    held varchar,
    ended_at timestamptz,
    problem varchar,
    problem_kind varchar
);
comment on table deliveries is 'The outbox: one row per alert and channel.';

create table threads (
    incident uuid not null,
    channel varchar not null,
    address varchar not null,
    thread varchar not null
);
comment on table threads is 'What a channel answered to the first message of an incident.';

create table channels (
    channel varchar not null,
    breaker varchar not null,
    since timestamptz,
    failures bigint not null,
    worked bigint not null,
    not_before timestamptz,
    problem varchar,
    succeeded_at timestamptz,
    checked_at timestamptz
);
comment on table channels is 'Where each channel stands.';

create view v_incidents as
select
    subject as incident, kind, component, tenant, priority, state, title, simulated, times,
    opened_at, newest_at, over_at, escalated_at, acknowledged_at, acknowledged_by
from incidents;
comment on view v_incidents is 'What was told belongs together: from the first alert to its end.';
comment on column v_incidents.priority is 'The highest that its alerts had, P0 to P3.';
comment on column v_incidents.state is 'firing, acknowledged or resolved; told, where nothing lasts.';
comment on column v_incidents.times is 'How many of its alerts fired.';

create view v_alert_deliveries as
select
    deliveries.delivery, incidents.subject as incident, incidents.kind, incidents.tenant,
    deliveries.channel, nullif(deliveries.address, '') as address, deliveries.state,
    deliveries.priority, deliveries.tells, deliveries.attempts, deliveries.entered_at,
    deliveries.not_before, deliveries.held as held_because, deliveries.ended_at,
    deliveries.problem, deliveries.problem_kind
from deliveries join incidents using (incident);
comment on view v_alert_deliveries is 'Every message of alerting: one row per alert and channel.';
comment on column v_alert_deliveries.address is 'Whom on the channel; null: whom its settings name.';
comment on column v_alert_deliveries.state is
    'waiting; retrying; delivered; dead: given up; dropped: it gave way; over: nothing to tell any more.';
comment on column v_alert_deliveries.tells is 'firing, again, escalated, acknowledged or resolved.';
comment on column v_alert_deliveries.not_before is 'When it is tried next.';
comment on column v_alert_deliveries.held_because is 'Quiet hours or maintenance; null: nothing holds it.';

create view v_alert_channels as
select
    channel, breaker, since, failures, not_before, problem, succeeded_at, checked_at
from channels;
comment on view v_alert_channels is 'Where each channel stands: its breaker, and why it failed.';
comment on column v_alert_channels.breaker is 'closed: it works; open: left alone; half-open: tried.';

comment on column v_cost_alerts.kind is 'threshold, burn, forecast or anomaly.';
