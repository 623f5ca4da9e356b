-- Readings as rows, for charts, reports and validation. What is certified never comes from here but
-- from the signed messages. flags: 1 unsynced, 2 power-fail, 4 tamper, 8 fault, 16 late.

-- No foreign key: its check costs more than the row, and every row is written in a transaction that
-- has locked the key_progress row of a registered key of the meter.
create table reading (
  meter_id integer not null,
  time timestamptz not null,
  export_wh bigint,
  import_wh bigint,
  co2_g bigint,
  operating_s bigint,
  valid_s bigint,
  other jsonb,
  flags smallint not null default 0,
  primary key (meter_id, time)
);

-- Registers only grow, so of each bucket the first, last, least and greatest value of a register say
-- what was metered, and whether it fell. With TimescaleDB these are hierarchical continuous
-- aggregates; otherwise tables of the same names and columns, which ingestion keeps.
do $$
declare
  registers constant text[] := array['export_wh', 'import_wh', 'co2_g', 'operating_s', 'valid_s'];
  from_readings text := '';
  from_rollups text := '';
  columns text := '';
  register text;
  tier text[];
begin
  foreach register in array registers loop
    from_readings := from_readings || format(
      ', first(%1$I, time) filter (where %1$I is not null) as %2$I'
      ', last(%1$I, time) filter (where %1$I is not null) as %3$I'
      ', min(%1$I) as %4$I, max(%1$I) as %5$I',
      register, register || '_first', register || '_last', register || '_min', register || '_max');
    from_rollups := from_rollups || format(
      ', first(%1$I, bucket) filter (where %1$I is not null) as %1$I'
      ', last(%2$I, bucket) filter (where %2$I is not null) as %2$I'
      ', min(%3$I) as %3$I, max(%4$I) as %4$I',
      register || '_first', register || '_last', register || '_min', register || '_max');
    columns := columns || format(
      ', %1$I bigint, %2$I bigint, %3$I bigint, %4$I bigint',
      register || '_first', register || '_last', register || '_min', register || '_max');
  end loop;

  if exists (select 1 from pg_extension where extname = 'timescaledb') then
    execute $sql$select create_hypertable('reading', 'time', chunk_time_interval => interval '7 days')$sql$;
    execute format($sql$
      create materialized view reading_15m with (timescaledb.continuous) as
      select meter_id, time_bucket(interval '15 minutes', time) as bucket, count(*) as readings %s
        from reading group by 1, 2 with no data$sql$, from_readings);
    foreach tier slice 1 in array array[
      array['reading_1h', 'reading_15m', '1 hour'],
      array['reading_1d', 'reading_1h', '1 day']
    ] loop
      execute format($sql$
        create materialized view %I with (timescaledb.continuous) as
        select meter_id, time_bucket(%L::interval, bucket) as bucket,
               sum(readings)::bigint as readings %s
          from %I group by 1, 2 with no data$sql$,
        tier[1], tier[3], from_rollups, tier[2]);
    end loop;
    foreach tier slice 1 in array array[
      array['reading_15m', '1 minute'], array['reading_1h', '5 minutes'], array['reading_1d', '1 hour']
    ] loop
      execute format($sql$
        select add_continuous_aggregate_policy(%L, start_offset => interval '45 days',
          end_offset => null, schedule_interval => %L::interval)$sql$, tier[1], tier[2]);
    end loop;
  else
    foreach register in array array['reading_15m', 'reading_1h', 'reading_1d'] loop
      execute format($sql$
        create table %I (
          meter_id integer not null references meter,
          bucket timestamptz not null,
          readings bigint not null %s,
          primary key (meter_id, bucket))$sql$, register, columns);
    end loop;
  end if;
end $$;

-- Where roll-up tables are kept by ingestion: which hours of which meters a batch touched, one row a
-- batch. With TimescaleDB it stays empty.
create table reading_touched (
  touched_id bigint generated always as identity primary key,
  meter_ids integer[] not null,
  starts bigint[] not null
);
