-- What a meter sends beyond its quota where it cannot be slowed down, because ingestion shares one
-- stream with all meters (an external broker): kept raw, acknowledged, verified later in the order of
-- arrival (D4.1). Written and read by ingestion. sender is the meter whose topic it came by, '' for
-- all topics that are nobody's.
create table backlog (
  backlog_id bigint generated always as identity primary key,
  sender text not null collate "C",
  received_at bigint not null,
  topic text not null,
  -- How often an error of ours kept it from being stored.
  failures integer not null default 0,
  bytes bytea not null
);
create index backlog_of_sender on backlog (sender, backlog_id);
-- Signed base64 does not compress.
alter table backlog alter column bytes set storage external;

-- How much of each sender waits. The lock on its row decides what still fits, so that several
-- ingestion processes together keep the limit. overflowed: what did not fit since the beginning; it
-- was not acknowledged, and its device still has it.
create table backlog_sender (
  sender text primary key collate "C",
  messages bigint not null default 0 check (messages >= 0),
  bytes bigint not null default 0 check (bytes >= 0),
  overflowed bigint not null default 0 check (overflowed >= 0)
) with (fillfactor = 50);
create index backlog_sender_waiting on backlog_sender (sender) where messages > 0;

-- Which of several ingestion processes works the backlog off, and until when unless it says so again.
-- Two that did would do no harm, only everything twice.
create table backlog_lease (
  one boolean primary key default true check (one),
  holder text not null default '',
  until timestamptz not null default '-infinity'
);
insert into backlog_lease default values;
