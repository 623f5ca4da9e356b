-- Meters that ask to be enrolled. A request means nothing before its key is in the log, and whether
-- it is, meter_key says: no state is kept twice. `request` is what the new key signed, as it came.
create table enrolment (
  kid text collate "C" primary key,
  meter_id integer not null references meter,
  request bytea not null check (octet_length(request) <= 4096),
  received_at bigint not null,
  not_after bigint not null,
  refused_at bigint,
  reason text check (char_length(reason) <= 1000),
  check ((refused_at is null) = (reason is null))
);
create index enrolment_of_meter on enrolment (meter_id);
