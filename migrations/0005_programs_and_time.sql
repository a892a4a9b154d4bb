-- Subscriptions, holds, quotes, caps; what falls due by time; the test clocks of sandbox tenants.

-- What a posting needs beside the grants. Ids, so that a batch looks for rows only where there are some, and finds them by
-- their primary key: by account, the planner took whichever index it met first while the tables were empty, and kept to
-- it. None of these columns stands in an index: a spend still changes the row in place.
ALTER TABLE account_heads ADD COLUMN live_subscriptions uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE account_heads ADD COLUMN open_holds uuid[] NOT NULL DEFAULT '{}';
-- The instant since which `used` counts, where that is not the cycle's start: the cycle became the account's while it ran.
ALTER TABLE account_heads ADD COLUMN counts_since timestamptz;
-- Nothing falls due before; null: nothing does. What the jobs look for stands in account_due.
ALTER TABLE account_heads ADD COLUMN due_at timestamptz;
-- What the caps have counted in their running windows, and support's caps for the account. Null: nothing.
ALTER TABLE account_heads ADD COLUMN cap_counters jsonb;
ALTER TABLE account_heads ADD COLUMN cap_overrides jsonb;

-- What holds have set aside of a grant, part of what remains.
ALTER TABLE grants ADD COLUMN held bigint NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN subscription_id uuid;
ALTER TABLE grants ADD CONSTRAINT grants_remaining_held_check CHECK (held >= 0 AND held <= remaining);

-- A subscription's beginning, change, renewal or end (kinds 10 and 11) and support's caps (13) may move nothing.
ALTER TABLE transactions DROP CONSTRAINT transactions_amount_check;
ALTER TABLE transactions ADD CONSTRAINT transactions_amount_check CHECK (amount > 0 OR (amount = 0 AND kind IN (10, 11, 13)));

-- Those of an account, which the entries do not list. A spend is not among them.
CREATE INDEX transactions_without_entries ON transactions (tenant_id, account_id, id) WHERE kind IN (10, 11, 13);

-- A purchase for an amount of the buyer's choice has no pack.
ALTER TABLE top_ups ALTER COLUMN pack DROP NOT NULL;

CREATE TABLE subscriptions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    plan text NOT NULL,
    -- The plan as it stood when it was last granted.
    terms jsonb NOT NULL,
    program_version integer,
    -- 1: month, 2: year.
    billing smallint NOT NULL,
    units integer NOT NULL,
    anchor timestamptz NOT NULL,
    timezone text NOT NULL,
    -- The running cycles, in months from the anchor.
    refreshed_from integer NOT NULL,
    refreshed_to integer NOT NULL,
    billed_from integer NOT NULL,
    billed_to integer NOT NULL,
    started_at timestamptz NOT NULL,
    -- What changes with the next billing cycle.
    pending jsonb,
    ends_at timestamptz,
    ended_at timestamptz,
    -- What it was for, from when on.
    phases jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT subscriptions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT subscriptions_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT subscriptions_billing_check CHECK (billing IN (1, 2)),
    CONSTRAINT subscriptions_units_check CHECK (units >= 0),
    CONSTRAINT subscriptions_spans_check CHECK (refreshed_from <= refreshed_to AND billed_from <= billed_to AND refreshed_to <= billed_to)
);

CREATE INDEX subscriptions_by_account ON subscriptions (tenant_id, account_id, id);

CREATE TABLE holds (
    tenant_id uuid NOT NULL,
    -- The transaction that placed it.
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- 1: held, 2: captured, 3: voided, 4: expired.
    status smallint NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL,
    drawdown jsonb NOT NULL,
    operation text,
    member text,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT holds_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT holds_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT holds_amount_check CHECK (amount > 0 AND captured >= 0),
    CONSTRAINT holds_status_check CHECK (status IN (1, 2, 3, 4)),
    CONSTRAINT holds_closed_check CHECK ((status = 1) = (closed_at IS NULL))
);

CREATE INDEX holds_by_account ON holds (tenant_id, account_id, id);

CREATE TABLE quotes (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount bigint NOT NULL,
    operation text,
    wanted jsonb,
    member text,
    program_version integer,
    drawdown jsonb NOT NULL,
    caps jsonb NOT NULL,
    affordable boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- The spend or hold it was used for: one.
    used_by uuid,
    CONSTRAINT quotes_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT quotes_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT quotes_amount_check CHECK (amount > 0)
);

-- The accounts for which something falls due, for the jobs to find. Apart from the heads, whose updates an index would cost.
CREATE TABLE account_due (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- Null: nothing does any more.
    due_at timestamptz,
    -- Another process is at it until then.
    claimed_until timestamptz,
    CONSTRAINT account_due_pkey PRIMARY KEY (tenant_id, account_id),
    CONSTRAINT account_due_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id)
);

CREATE INDEX account_due_by_time ON account_due (tenant_id, due_at);

-- What had been granted before falls due at its end.
INSERT INTO account_due (tenant_id, account_id, due_at)
SELECT tenant_id, account_id, min(expires_at) FROM grants WHERE closed_at IS NULL AND expires_at IS NOT NULL GROUP BY tenant_id, account_id;
UPDATE account_heads h SET due_at = d.due_at
FROM account_due d WHERE d.tenant_id = h.tenant_id AND d.account_id = h.account_id;

UPDATE account_heads SET counts_since = cycle_starts_at;

-- A sandbox tenant's time, once it was set. It stands still until it is moved forward.
CREATE TABLE test_clocks (
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT test_clocks_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT test_clocks_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id)
);

GRANT SELECT, INSERT, UPDATE ON subscriptions, holds, quotes, account_due, test_clocks TO scrip_service;

ALTER TABLE subscriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE holds ENABLE ROW LEVEL SECURITY;
ALTER TABLE quotes ENABLE ROW LEVEL SECURITY;
ALTER TABLE account_due ENABLE ROW LEVEL SECURITY;
ALTER TABLE test_clocks ENABLE ROW LEVEL SECURITY;

CREATE POLICY subscriptions_of_tenant ON subscriptions TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY holds_of_tenant ON holds TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY quotes_of_tenant ON quotes TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY account_due_of_tenant ON account_due TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
CREATE POLICY test_clocks_of_tenant ON test_clocks TO scrip_service
    USING (tenant_id IN (SELECT unnest(nullif(current_setting('app.tenant_ids', true), '')::uuid[])));
