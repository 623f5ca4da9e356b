-- The register: what the log says of plants, meters and keys, as it is now in force. Written only by
-- the ledger, in the transaction that sequences the entry (D3.4: ingestion follows the index); read
-- by broker, ingestion and ledger. It can be rebuilt from the log at any time.

create table log_setting (
  one boolean primary key default true check (one),
  origin text not null,
  ingestion_jwk jsonb not null,
  rules jsonb not null
);

create table plant (
  plant_id integer generated always as identity primary key,
  plant text collate "C" not null unique,
  spec jsonb not null,
  ends_at bigint
);

create table meter (
  meter_id integer generated always as identity primary key,
  meter text collate "C" not null unique,
  plant_id integer not null references plant,
  spec jsonb not null,
  ends_at bigint
);
create index meter_of_plant on meter (plant_id);

create table meter_key (
  key_id integer generated always as identity primary key,
  kid text collate "C" not null unique,
  meter_id integer not null references meter,
  jwk jsonb not null,
  not_before bigint not null,
  last_seq bigint,
  last_t bigint,
  frozen boolean not null default false,
  -- Grows over the whole table with every change, so that a cache can ask for what is new.
  version bigint not null default 0
);
create index meter_key_of_meter on meter_key (meter_id);
create index meter_key_version on meter_key (version);
