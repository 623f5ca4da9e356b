-- Certificates as property (D4.4): what entries make of units, apart from what time does.
alter table bundle
  drop constraint bundle_state_check,
  add constraint bundle_state_check check (state in
    ('active', 'offered', 'reserved', 'cancelled', 'locked', 'withdrawn'));

-- The history of units: a row for every range that an entry changed. Who issued them, bundle says.
create table unit_change (
  series text collate "C" not null,
  range int8range not null,
  entry_index bigint not null references log_entry,
  kind text collate "C" not null,
  -- Who acted, and with whom; null for the issuing body and for corrections.
  account text collate "C",
  counterparty text collate "C",
  constraint unit_change_range
    check (not isempty(range) and lower(range) >= 1 and not upper_inf(range)),
  constraint unit_change_other check (counterparty <> account)
);
-- Finds the history of one unit among those of all; see 0015 for the key.
create index unit_change_of_unit on unit_change using gist (series_key(series), range);
create index unit_change_of_account on unit_change (account, entry_index);
create index unit_change_of_counterparty on unit_change (counterparty, entry_index);
create trigger unit_change_append_only before update or delete or truncate on unit_change
  for each statement execute function refuse_change();
