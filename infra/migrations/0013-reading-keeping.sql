-- How long readings stay as rows, and those that come when their chunk is compressed already. Readings
-- only draw charts: messages stay for ever, and nothing that is certified ever comes from here. The
-- intervals are ingestion's configuration, which makes and alters the policies (infra/README.md).

-- kept_from: what is older is neither stored as a row nor rolled up any more, and is deleted a day later.
-- It only grows: a bucket whose readings are gone must never be computed from the few that are left.
-- holder: which of several ingestion processes moves late readings, and until when unless it says so again.
create table reading_keeping (
  one boolean primary key default true check (one),
  kept_from bigint not null default 0,
  holder text not null default '',
  until timestamptz not null default '-infinity'
);
insert into reading_keeping default values;

-- Where TimescaleDB compresses: readings that are older than what it leaves uncompressed. They wait here
-- for housekeeping, so that a device that comes back after days makes no transaction of ingestion
-- decompress anything. Elsewhere it stays empty. The columns are those of `reading`.
create table reading_late (like reading including defaults, primary key (time, meter_id));

-- What 0005 made decides: TimescaleDB may have come to the database after it. Since 2.18 the settings are
-- those of a columnstore, before that of compression.
do $$
begin
  if (select relkind = 'r' from pg_class where oid = to_regclass('reading_15m')) then
    return;
  end if;
  if exists (select 1 from pg_proc where proname = 'add_columnstore_policy') then
    alter table reading set (timescaledb.enable_columnstore,
      timescaledb.segmentby = 'meter_id', timescaledb.orderby = 'time');
  else
    alter table reading set (timescaledb.compress,
      timescaledb.compress_segmentby = 'meter_id', timescaledb.compress_orderby = 'time');
  end if;
  -- Refreshed in batches (the default since it can be), a bucket that changed last at its very start is
  -- left out until a later run, up to 2.28.2 (timescaledb issue 10221); readings at the turn of the hour
  -- are the rule here.
  if exists (select 1 from pg_proc where proname = 'add_continuous_aggregate_policy'
               and 'buckets_per_batch' = any (proargnames)) then
    perform alter_job(job_id, config => config || '{"buckets_per_batch": 0}')
       from timescaledb_information.jobs j
            join timescaledb_information.continuous_aggregates c
              -- Its own name, or, in newer versions, that of the view.
              on j.hypertable_name in (c.materialization_hypertable_name, c.view_name)
      where j.proc_name = 'policy_refresh_continuous_aggregate'
        and c.view_schema = current_schema()
        and c.view_name in ('reading_15m', 'reading_1h', 'reading_1d');
  end if;
end $$;
