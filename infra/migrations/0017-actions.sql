-- Signed actions that wait to be entered, and what became of them. The registry takes them in; the
-- ledger decides them in their order, each in the transaction that writes its entry.
create table action (
  action_id bigint generated always as identity primary key,
  -- Who hands it in, and by which key of its own: the same again is the same request.
  requester text collate "C" not null check (octet_length(requester) between 1 and 128),
  request_key text collate "C" not null check (octet_length(request_key) between 1 and 255),
  -- A signed action as FORMATS.md has it, byte for byte.
  body bytea not null check (octet_length(body) between 1 and 65535),
  received_at bigint not null,
  decided_at bigint,
  -- One of the two, as soon as it is decided.
  entry_index bigint references log_entry,
  code text check (octet_length(code) <= 64),
  message text check (char_length(message) <= 1000),
  unique (requester, request_key),
  check ((code is null) = (message is null)),
  check (decided_at is null and entry_index is null and code is null
    or decided_at is not null and (entry_index is null) <> (code is null))
);
create index action_waiting on action (action_id) where decided_at is null;
create index action_waiting_of on action (requester) where decided_at is null;
create index action_decided on action (decided_at) where decided_at is not null;

-- An answer, once given, stays what it is, and nothing that waits is lost.
create function keep_action() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    if old.decided_at is not null then return old; end if;
  elsif old.decided_at is null and new.decided_at is not null
    and (new.action_id, new.requester, new.request_key, new.body, new.received_at)
      = (old.action_id, old.requester, old.request_key, old.body, old.received_at) then
    return new;
  end if;
  raise exception 'an action is decided once, and kept until then'
    using errcode = 'integrity_constraint_violation', constraint = 'action_decided_once';
end $$;
create trigger action_decided_once before update or delete on action
  for each row execute function keep_action();
create trigger action_no_truncate before truncate on action
  for each statement execute function refuse_change();
