-- Claims (D4.4): a cancelled unit stands for metered consumption, once.
alter table bundle
  drop constraint bundle_state_check,
  add constraint bundle_state_check check (state in
    ('active', 'offered', 'reserved', 'cancelled', 'claimed', 'locked', 'withdrawn'));
