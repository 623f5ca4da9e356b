-- Emission records (D4.6), as the log has them. Written only by the ledger.

-- What an hour says of its emission monitor, beside co2_g.
alter table hour_value
  add column operating_s bigint check (operating_s >= 0),
  add column valid_s bigint check (valid_s >= 0),
  add constraint hour_value_seconds check ((operating_s is null) = (valid_s is null));

-- Factors as others published them: a version is entered once and never changed in place.
create table factor_set (
  set_id text collate "C" not null,
  version text collate "C" not null,
  entry_index bigint not null unique references log_entry,
  valid_from bigint not null check (valid_from >= 0),
  valid_to bigint,
  rows jsonb not null check (jsonb_typeof(rows) = 'array'),
  primary key (set_id, version),
  check (valid_to > valid_from)
);
create trigger factor_set_append_only before update or delete or truncate on factor_set
  for each statement execute function refuse_change();

-- Every version of every plant's day. Version 1 is the `emission`, the others its corrections.
create table emission_day (
  plant_id integer not null references plant,
  day bigint not null check (day >= 0 and day % 86400 = 0),
  version integer not null check (version >= 1),
  entry_index bigint not null unique references log_entry,
  time bigint not null,
  total_g bigint not null check (total_g >= 0),
  -- Hours whose figure stands in for data that are missing, and whether one of them waits for the
  -- hour after its outage.
  substituted integer not null check (substituted between 0 and 24),
  is_open boolean not null,
  factor jsonb,
  hours jsonb not null check (jsonb_typeof(hours) = 'array'),
  primary key (plant_id, day, version)
);
create trigger emission_day_append_only before update or delete or truncate on emission_day
  for each statement execute function refuse_change();
create index emission_day_substituted on emission_day (plant_id, day) where substituted > 0;

-- Days to look at: touched_index is the entry that last bore upon one, so that a row which is touched
-- again while it is looked at stays.
create table emission_due (
  plant_id integer not null references plant,
  day bigint not null,
  touched_index bigint not null,
  primary key (plant_id, day)
);
