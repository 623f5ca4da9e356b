-- Who can own certificates, as the log now says it. Written by the ledger in the transaction that
-- sequences the entry; rebuilt from the log at any time.
create table account (
  account text collate "C" primary key,
  entry_index bigint not null unique,
  role text not null check (role in ('plant', 'trader', 'buyer', 'regulator')),
  custody text not null check (custody in ('own', 'operator')),
  -- Salted hash of the legal identity, which is nowhere in the database.
  identity bytea not null check (octet_length(identity) = 32),
  jwk jsonb not null,
  -- After a loss: the key that acts from then on, unless the old one speaks up (D3.3).
  next_jwk jsonb,
  next_from bigint,
  frozen boolean not null default false,
  check ((next_jwk is null) = (next_from is null))
);
