-- Since when a recommendation stands, and what came of it: what was followed may be undone.
alter table savings add column since timestamptz;
alter table savings add column first_value double;
-- Of those of before nobody knows since when: the next run tells them anew.
delete from savings;
comment on column savings.since is 'The run at which it began to stand.';
comment on column savings.first_value is 'What it is about had this value then.';

drop view v_savings_realised;
alter table savings_followed add column recommended_since timestamptz;
alter table savings_followed add column target double;
alter table savings_followed add column because varchar;
alter table savings_followed add column over_at timestamptz;
create view v_savings_realised as
select
    since, kind, tenant, "limit" as limit_name, currency, value as was, reached as is_now,
    target, exposure as exposure_cut, spend as spend_realised, recommended_since, over_at, because
from savings_followed;
comment on view v_savings_realised is 'Recommendations that were followed, with what that saved a month.';
comment on column v_savings_realised.was is
    'What it was about when it began to be recommended: a limit, a rate, a share.';
comment on column v_savings_realised.is_now is 'The same when it was followed; null: not known.';
comment on column v_savings_realised.target is 'The same as it was recommended last.';
comment on column v_savings_realised.exposure_cut is 'What the worst bill that limits allow fell by. Null without a price.';
comment on column v_savings_realised.spend_realised is
    'The week since against the week before, of the usage that it was about, at the prices of now. Null while that is not known.';
comment on column v_savings_realised.over_at is
    'When it was recommended again, or was as before; null: it holds.';
