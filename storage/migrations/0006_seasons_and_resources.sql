create table peaks_weekly (
    hour_of_week smallint not null,
    tenant varchar not null,
    signal varchar not null,
    level double not null,
    weeks smallint not null,
    "at" timestamptz not null
);
comment on table peaks_weekly is
    'What is usual in each hour of the week; made anew when such an hour is over.';
comment on column peaks_weekly.hour_of_week is '0 = Monday 00:00 UTC ... 167.';
comment on column peaks_weekly.level is
    'The 95th percentile of the calm peaks of ten weeks; one of 14 days ago counts half.';
comment on column peaks_weekly.weeks is 'How many of the ten weeks are known.';
comment on column peaks_weekly."at" is 'The newest hour that was counted.';

create table resources (
    "at" timestamptz not null,
    pod varchar not null,
    component varchar,
    resource varchar not null,
    used double,
    "limit" double
);
comment on table resources is
    'What the processes of Mimir used of what they may, each minute; kept 48 hours.';

create view v_tenant_usage_weekly as
select hour_of_week, tenant, signal, level, weeks, "at" as newest_hour from peaks_weekly;
comment on view v_tenant_usage_weekly is
    'What is usual in each hour of the week, by the calm peaks of the last ten weeks.';

create view v_resources as
select "at" as measured_at, pod, component, resource, used, "limit" as allowed from resources;
comment on view v_resources is
    'What the processes of Mimir used of what they may, each minute, 48 hours back.';
