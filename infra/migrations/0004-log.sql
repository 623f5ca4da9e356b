-- The log and what the ledger knows. Written only by the ledger; everything but log_entry, checkpoint
-- and meter_dispute follows from the entries and the messages.

-- What may not change, changes for nobody: not even a mistaken statement of our own.
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name
    using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_append_only';
end $$;

-- The place of the next entry. Whoever sequences holds this row locked, so entries have one order.
create table log_state (
  one boolean primary key default true check (one),
  next_index bigint not null check (next_index >= 0),
  time bigint not null check (time >= 0)
);
insert into log_state (next_index, time) values (0, 0);

create table log_entry (
  index bigint primary key check (index >= 0),
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  data bytea not null check (octet_length(data) between 1 and 65535),
  kind text not null,
  time bigint not null
);
create index log_entry_kind on log_entry (kind, index) where kind not in ('hour', 'hour-correction');
create trigger log_entry_append_only before update or delete or truncate on log_entry
  for each statement execute function refuse_change();

-- What evidence, and not a rule alone, showed to be wrong with an entry (D3.3, void).
create table entry_fault (
  entry_index bigint primary key references log_entry,
  code text not null,
  message text not null
);
create trigger entry_fault_append_only before update or delete or truncate on entry_fault
  for each statement execute function refuse_change();

-- The newest signed tree head. edge holds the hashes of the partial tile at the right of each level
-- of tiles; published_size is what the static files show. note is null until something was signed.
create table checkpoint (
  one boolean primary key default true check (one),
  tree_size bigint not null check (tree_size >= 0),
  root bytea not null check (octet_length(root) = 32),
  edge bytea[] not null,
  note bytea,
  published_size bigint not null,
  check (published_size between 0 and tree_size)
);
insert into checkpoint (tree_size, root, edge, published_size) values (0, sha256(''), '{}', 0);

-- Two roots for one size, or a smaller size after a larger one, would split the log.
create function refuse_split() returns trigger language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.tree_size > old.tree_size or
      (new.tree_size = old.tree_size and new.root = old.root and new.note is not distinct from old.note)
    then
      return new;
    end if;
  end if;
  raise exception 'a checkpoint only moves forward'
    using errcode = 'integrity_constraint_violation', constraint = 'checkpoint_forward';
end $$;
create trigger checkpoint_forward before update or delete on checkpoint
  for each row execute function refuse_split();

-- Tiles of hashes that a checkpoint in this database covers and the static files may not have yet.
create table pending_tile (
  path text collate "C" primary key,
  data bytea not null
);

-- Every version of every sealed hour. Version 1 is the `hour`, the others its corrections.
create table hour_value (
  plant_id integer not null references plant,
  start bigint not null check (start >= 0 and start % 3600 = 0),
  version integer not null check (version >= 1),
  entry_index bigint not null unique,
  time bigint not null,
  generation_wh bigint not null check (generation_wh >= 0),
  certified_wh bigint not null check (certified_wh >= 0),
  consumption_wh bigint,
  co2_g bigint,
  quality text not null check (quality in ('measured', 'partial', 'disputed')),
  messages bigint not null check (messages >= 0),
  complete boolean not null,
  batch_root bytea not null check (octet_length(batch_root) = 32),
  meters_root bytea not null check (octet_length(meters_root) = 32),
  primary key (plant_id, start, version)
);
create trigger hour_value_append_only before update or delete or truncate on hour_value
  for each statement execute function refuse_change();

-- The meter records of an `hour` or `hour-correction`, framed as in a batch file, in the order of the
-- tree, and for a committed hour the salt and the rest that its commitment hides.
create table hour_record (
  entry_index bigint primary key,
  records bytea not null,
  salt bytea check (octet_length(salt) = 32),
  opening jsonb,
  check ((salt is null) = (opening is null))
);
create trigger hour_record_append_only before update or delete or truncate on hour_record
  for each statement execute function refuse_change();

-- Sealed hours that are not complete: when the ledger looks again without being told to.
create table hour_due (
  plant_id integer not null references plant,
  start bigint not null,
  due_at bigint not null,
  primary key (plant_id, start)
);
create index hour_due_at on hour_due (due_at);

-- From when on a meter contradicts itself (D4.2), until a decision.
create table meter_dispute (
  meter_id integer primary key references meter,
  from_t bigint not null
);

-- Receipt chains (D3.1) at some messages of a key, so that none is ever computed from the first on.
create table key_chain (
  key_id integer not null references meter_key,
  seq bigint not null check (seq >= 1),
  chain bytea not null check (octet_length(chain) = 32),
  primary key (key_id, seq)
);

-- Which quarantined messages stand in the list of a batch file; each is listed once.
create table quarantine_listing (
  key_id integer not null references meter_key,
  seq bigint not null,
  hash bytea not null check (octet_length(hash) = 32),
  primary key (key_id, seq, hash)
);
create index message_refused on message (key_id, seq) where code is not null;

-- Certificates (D4.4): contiguous units of a series with one owner and one state. The database itself
-- refuses that a unit is in two of them.
create table bundle (
  series text collate "C" not null,
  range int8range not null,
  issued_index bigint not null,
  hour_start bigint not null,
  owner text collate "C" not null,
  state text not null check (state in ('active', 'cancelled', 'withdrawn')),
  last_index bigint not null,
  constraint bundle_range check (not isempty(range) and lower(range) >= 1 and not upper_inf(range)),
  constraint bundle_overlap exclude using gist (series with =, range with &&)
);
create index bundle_of_owner on bundle (owner, state);
