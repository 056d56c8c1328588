create table emergency (
    "at" timestamptz not null,
    state varchar not null
);
comment on table emergency is 'Where the emergency stands, as JSON: one row, none while nothing is watched. So a restart in its middle goes on.';
