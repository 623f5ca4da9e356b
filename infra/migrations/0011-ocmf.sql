-- What a key's entry says of a meter that signs OCMF records: its device, and which pages count. Null for
-- a key that signs our own messages.
alter table meter_key add column ocmf jsonb;
