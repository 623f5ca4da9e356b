-- Exclusion constraints over (id, range) need an equality operator class for GiST.
create extension if not exists btree_gist;

-- TimescaleDB is used where the server has it (D6), and nothing is asked of a server that has not.
-- Later migrations branch on pg_extension in a do block of their own. The extension may only be
-- created where its library was preloaded and by whoever may, so a refusal here is not an error.
do $$
begin
  if exists (select 1 from pg_available_extensions where name = 'timescaledb')
     and current_setting('shared_preload_libraries', true) like '%timescaledb%' then
    create extension if not exists timescaledb;
  end if;
exception when insufficient_privilege then
  raise notice 'timescaledb is available, but this role may not create it: ordinary tables are used';
end $$;
