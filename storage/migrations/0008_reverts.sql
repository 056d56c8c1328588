drop view v_moves;
alter table moves add column reverts boolean default false;
comment on column moves.reverts is
    'It takes a lowering back that refused what the limit before it let in.';

create view v_moves as
select
    "at" as moved_at, tenant, "limit" as limit_name, before, after,
    case when before is null or after > before then 'raise' else 'lower' end as direction,
    run_id,
    reverts
from moves;
comment on view v_moves is 'Every change of a limit that was decided and put to work.';
