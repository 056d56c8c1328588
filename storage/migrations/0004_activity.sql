alter table tenants add column last_demand timestamptz;
comment on column tenants.last_demand is
    'When it last asked for something; null when it never did.';
update tenants set last_demand = last_seen;

create table looked_hours ("at" timestamptz primary key);
comment on table looked_hours is
    'The hours in which Mimir was looked at as a whole: only in those can a tenant be idle.';
