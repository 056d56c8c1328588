create table moves (
    "at" timestamptz not null,
    tenant varchar not null,
    "limit" varchar not null,
    before double,
    after double not null,
    run_id varchar
);
comment on table moves is 'Every change of a limit that was decided and put to work; kept 400 days.';

create table leanings (
    tenant varchar not null,
    "limit" varchar not null,
    runs bigint not null
);
comment on table leanings is
    'Limits that are found to be too high, and by how many runs in a row.';

create view v_moves as
select
    "at" as moved_at, tenant, "limit" as limit_name, before, after,
    case when before is null or after > before then 'raise' else 'lower' end as direction,
    run_id
from moves;
comment on view v_moves is 'Every change of a limit that was decided and put to work.';
