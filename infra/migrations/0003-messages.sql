-- What ingestion keeps (D4.1). Written by ingestion, read by the ledger.

-- Every correctly signed message that takes its seq, for ever. A null code means accepted; the
-- others are kept and counted as seen: 'late', 'future', 'plant', 'meter', 'span', 'order'. No foreign
-- key: its check costs a third of the row, and the transaction that writes the row has locked the row
-- of key_progress, which has one.
create table message (
  key_id integer not null,
  seq bigint not null check (seq >= 1),
  received_at bigint not null,
  t_first bigint not null,
  t_last bigint not null,
  code text,
  hash bytea not null check (octet_length(hash) = 32),
  jws bytea not null,
  primary key (key_id, seq)
);
create index message_time on message (key_id, t_last);
-- Signed base64 does not compress, and a message that fits into its page is read in one piece.
alter table message alter column jws set storage external;
alter table message set (toast_tuple_target = 8160);

-- One row a key. Whoever stores messages of a key changes its version from what it read, or stores
-- nothing: so several ingestion processes agree on what came first. chain is the receipt chain
-- (D3.1) at through_seq; max_t is t_last of the newest accepted message.
create table key_progress (
  key_id integer primary key references meter_key,
  version bigint not null default 0,
  through_seq bigint not null default 0,
  chain bytea not null default decode(repeat('00', 32), 'hex') check (octet_length(chain) = 32),
  max_seq bigint not null default 0,
  max_t bigint not null default 0,
  duplicates bigint not null default 0,
  check (max_seq >= through_seq)
) with (fillfactor = 50);

-- A second signed message under one seq: evidence for ever. The ledger writes a `fork` entry for
-- each row and notes its index here.
create table fork (
  key_id integer not null references meter_key,
  seq bigint not null,
  hash bytea not null check (octet_length(hash) = 32),
  received_at bigint not null,
  jws bytea not null,
  entry_index bigint,
  primary key (key_id, seq, hash)
);
create index fork_without_entry on fork (key_id, seq) where entry_index is null;

-- What takes no seq. Unsigned: 'size', 'form', 'key', 'alg', 'signature'; a bounded number for each
-- sender. Signed, and kept for ever, each once: 'log', 'topic'. hash is that of the bytes as received.
create table quarantine (
  quarantine_id bigint generated always as identity primary key,
  received_at bigint not null,
  sender text not null,
  topic text not null,
  code text not null,
  detail text not null,
  signed boolean not null,
  kid text,
  seq bigint,
  hash bytea not null check (octet_length(hash) = 32),
  bytes bytea not null
);
create index quarantine_of_sender on quarantine (sender, quarantine_id) where not signed;
create unique index quarantine_signed_once on quarantine (hash, topic) where signed;

-- Which hours of a plant the ledger should look at again. It deletes a row only as it saw it.
create table plant_dirty (
  plant_id integer not null references plant,
  start bigint not null,
  touched bigint not null default 1,
  primary key (plant_id, start)
) with (fillfactor = 70);

-- News for the bus (D5, step 3). The database is the truth: what nobody fetched in time is dropped.
create table outbox (
  outbox_id bigint generated always as identity primary key,
  topic text not null,
  key text not null,
  value jsonb not null,
  created_at bigint not null
);

-- The jti of connect passwords, until no password with it can still be fresh. In the database, since
-- such a password is good for a day: a broker that restarted, or a second one, must know it as used.
create table connect_jti (
  key_id integer not null references meter_key,
  jti text collate "C" not null,
  expires_at bigint not null,
  primary key (key_id, jti)
);
create index connect_jti_expiry on connect_jti (expires_at);
