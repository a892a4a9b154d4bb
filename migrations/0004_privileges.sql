-- What the service may do. It runs as scrip_service (made by `scrip migrate` before the first migration), which can add
-- to the books but neither change nor remove what stands in them, and which sees the tenants it named and no others.

GRANT SELECT, INSERT ON transactions, entries, audit_log, programs, idempotent_requests TO scrip_service;
GRANT SELECT, INSERT ON tenants TO scrip_service;
GRANT SELECT, INSERT, UPDATE ON accounts, account_heads, grants, api_keys, stripe_settings, top_ups, stripe_events TO scrip_service;
GRANT UPDATE (status, answer_sealed) ON idempotent_requests TO scrip_service;

-- Row-level security is the second fence (the first: no query is written without a tenant). A connection names its
-- tenants in app.tenant_ids for the length of a transaction; one that names none sees no row. Written as IN (SELECT ...) it
-- is a hash probe a row; as = ANY (...) it became part of the index conditions and misled the planner.
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE programs ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotent_requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE transactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE top_ups ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY api_keys_of_tenant ON api_keys TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY programs_of_tenant ON programs TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY idempotent_requests_of_tenant ON idempotent_requests TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY accounts_of_tenant ON accounts TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY account_heads_of_tenant ON account_heads TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY grants_of_tenant ON grants TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY transactions_of_tenant ON transactions TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY entries_of_tenant ON entries TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY audit_log_of_tenant ON audit_log TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY stripe_settings_of_tenant ON stripe_settings TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY top_ups_of_tenant ON top_ups TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY stripe_events_of_tenant ON stripe_events TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
