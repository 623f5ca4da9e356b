-- Every key of receipts that the log has named (`genesis`, `ingestion-key`), oldest first:
-- [{"jwk":…,"until":…}], `until` being the entry time up to which a newer one leaves it good.

alter table log_setting add column ingestion_keys jsonb;
update log_setting
   set ingestion_keys = jsonb_build_array(jsonb_build_object('jwk', ingestion_jwk));
alter table log_setting
  alter column ingestion_keys set not null,
  add constraint log_setting_ingestion_keys
    check (jsonb_typeof(ingestion_keys) = 'array' and ingestion_keys <> '[]'),
  drop column ingestion_jwk;
