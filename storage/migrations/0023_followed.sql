-- What recommendations are about, and what became of those that were followed.
alter table savings add column value double;
alter table savings add column target double;
comment on column savings.value is 'What it is about as it is: a limit, a rate, days; null: no one number.';
comment on column savings.target is 'The same as it should be.';

create table savings_followed (
    since timestamptz not null,
    kind varchar not null,
    tenant varchar not null,
    "limit" varchar,
    currency varchar not null,
    value double,
    reached double,
    exposure decimal(38, 9),
    spend decimal(38, 9)
);
comment on table savings_followed is 'Recommendations that somebody followed.';

create view v_savings_realised as
select
    since, kind, tenant, "limit" as limit_name, currency, value as was, reached as is_now,
    exposure as exposure_cut, spend as spend_realised
from savings_followed;
comment on view v_savings_realised is 'Recommendations that somebody followed, with what that saved a month.';
comment on column v_savings_realised.was is 'What it was about: a limit, a rate, a share.';
comment on column v_savings_realised.is_now is 'The limit since then; null where it is about none.';
comment on column v_savings_realised.exposure_cut is 'What the worst bill that limits allow fell by. Null without a price.';
comment on column v_savings_realised.spend_realised is
    'What the tenant costs less since then, of what it was about, whoever caused it; below zero where it costs more. Null until a week is priced.';
