create view v_emergency as
select
    "at" as changed_at,
    state->>'$.level' as level,
    (state->>'$.phase')::bigint as phase,
    (state->>'$.since')::timestamptz as since,
    (state->>'$.begun')::timestamptz as begun_at,
    nullif(state->>'$.because', '') as because,
    json_extract(state, '$.resources') as resources,
    json_extract(state, '$.actions') as actions,
    (state->>'$.restored')::double as restored,
    greatest(
        0.0,
        coalesce((state->>'$.squeezed')::double, 0.0) - 2 * (state->>'$.restored')::double
    ) as squeezed,
    (state->>'$.healthy_since')::timestamptz as healthy_since,
    (state->>'$.stepped_at')::timestamptz as stepped_at,
    (state->>'$.blind')::boolean as unmeasured
from emergency;
comment on view v_emergency is
    'Where the emergency stands: one row, whose level is none while there is none; no row while nothing is watched.';
