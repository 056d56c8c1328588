create table history_origin (simulated boolean not null, since timestamptz not null);
comment on table history_origin is 'Whether the tenants of this history are made up; one row.';
