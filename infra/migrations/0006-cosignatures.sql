-- What is signed becomes published by way of the witnesses (D5, steps 6 and 7).

-- Up to where tiles and bundles are durable as files.
alter table checkpoint add column written_size bigint not null default 0;
update checkpoint set written_size = published_size;
alter table checkpoint add constraint checkpoint_written
  check (written_size between published_size and tree_size);

-- Signed checkpoints that are not published: the newest may still be, the others were superseded and
-- only their partial tiles are still there. A size is signed once.
create table pending_checkpoint (
  tree_size bigint primary key check (tree_size > 0),
  note bytea not null
);
create trigger pending_checkpoint_fixed before update on pending_checkpoint
  for each statement execute function refuse_change();
insert into pending_checkpoint
  select tree_size, note from checkpoint where tree_size > published_size and note is not null;

-- Verified cosignatures over a pending checkpoint; signature is as in a note, after the key's id.
create table cosignature (
  tree_size bigint not null references pending_checkpoint on delete cascade,
  name text collate "C" not null,
  key_id text collate "C" not null check (key_id ~ '^[0-9a-f]{8}$'),
  signature bytea not null check (octet_length(signature) = 72),
  primary key (tree_size, name, key_id)
);
create trigger cosignature_fixed before update on cosignature
  for each statement execute function refuse_change();
