-- Validation (D4.2): what its rules say of each meter and sealed hour, for people. What auditors
-- recompute stands in meter records; nothing that is certified ever comes from here. Written by
-- ingestion, whoever has the row of validation_progress locked.

-- Every judgement that said something new, for ever.
create table hour_verdict (
  meter_id integer not null references meter,
  start bigint not null check (start >= 0 and start % 3600 = 0),
  version integer not null check (version >= 1),
  -- The `hour` or `hour-correction` that was judged, and the version of the rules whose thresholds held.
  entry_index bigint not null references log_entry,
  rules_version bigint not null check (rules_version >= 1),
  judged_at bigint not null,
  findings jsonb not null check (jsonb_typeof(findings) = 'array'),
  primary key (meter_id, start, version)
);
create index hour_verdict_found on hour_verdict (start) where findings <> '[]';
create trigger hour_verdict_append_only before update or delete or truncate on hour_verdict
  for each statement execute function refuse_change();

-- Up to which entry sealed hours were taken into validation_due.
create table validation_progress (
  one boolean primary key default true check (one),
  through_index bigint not null default -1
);
insert into validation_progress default values;

-- Hours to judge: new ones, and those that may look different because of an earlier one.
create table validation_due (
  plant_id integer not null references plant,
  start bigint not null,
  primary key (plant_id, start)
);
create index validation_due_order on validation_due (start, plant_id);

-- The hourly series for charts, gaps filled: 'measured' is what the meter record says, everything else
-- an estimate. Computed anew with each judgement of the hour.
create table chart_hour (
  meter_id integer not null references meter,
  register text collate "C" not null,
  start bigint not null check (start >= 0 and start % 3600 = 0),
  value bigint not null check (value >= 0),
  method text not null check (method in ('measured', 'linear', 'profile')),
  primary key (meter_id, register, start)
);
