create table withdrawals (
    "at" timestamptz not null,
    actor varchar not null,
    reason varchar not null
);
comment on table withdrawals is 'Who took all limits of ours away, and why; while there is a row none is published.';
