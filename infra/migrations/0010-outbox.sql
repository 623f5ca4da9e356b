-- Who relays the outbox (D5, step 3): one relay at a time, so that two cannot overtake one another.
-- A lease, by this server's clock, and not a lock: a transaction held open while Kafka is away would
-- keep vacuum from its work, and on the embedded engine everybody else from theirs.
create table outbox_relay (
  one boolean primary key default true check (one),
  holder text not null,
  until timestamptz not null
);
insert into outbox_relay (holder, until) values ('', '-infinity');

-- The relay takes each topic by itself, so that one that nobody can deliver holds up no other.
create index outbox_of_topic on outbox (topic, outbox_id);
-- Rows are short-lived: to compress them costs more than it saves.
alter table outbox alter column value set storage external;
