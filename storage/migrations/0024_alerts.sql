create table alerts (
    alert uuid not null,
    place bigint not null,
    "at" timestamptz not null,
    kind varchar not null,
    priority varchar not null,
    component varchar not null,
    incident varchar not null,
    title varchar not null,
    reason varchar not null,
    tenant varchar,
    evidence json not null,
    resolves boolean not null,
    lasts boolean not null,
    run_id varchar,
    simulated boolean not null,
    taken boolean not null
);
comment on table alerts is 'What was worth telling, as it happened.';

create view v_alerts as
select
    "at" as raised_at, kind, priority, component, incident, tenant, title, reason, evidence,
    resolves, lasts, simulated, run_id, taken
from alerts;
comment on view v_alerts is 'What was worth telling, as it happened; who was told is in v_alert_deliveries.';
comment on column v_alerts.priority is 'P0, the worst, to P3.';
comment on column v_alerts.incident is 'What alerts of one subject have in common, see v_incidents.';
comment on column v_alerts.resolves is 'It is the end of its incident.';
comment on column v_alerts.lasts is 'Its incident is over only when an alert that resolves says so.';
comment on column v_alerts.simulated is 'A dry run: nothing was done of what it says.';
comment on column v_alerts.taken is 'It was joined to its incident, and is on its way.';
