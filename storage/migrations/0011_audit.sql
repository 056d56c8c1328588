alter table audit add column exported boolean default false;
comment on column audit.exported is 'It is in the file auditLog.file.';
comment on column audit.category is 'user, system, cost, security or performance.';

-- Pins were the only entries of this category; a person is a user.
update audit set category = 'user' where category = 'operator';
