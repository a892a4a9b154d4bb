-- The ledger: accounts, grants, transactions and their entries.
--
-- What a spend costs is decided here: it updates one account_heads row and one grants row in place (HOT: no column that
-- a spend changes stands in an index, an index predicate or an INCLUDE), and inserts one transaction and its entries.
-- transactions and entries have no foreign keys: a look-up per inserted row would cost more than the row. `scrip verify`
-- proves what the keys would.

CREATE TABLE accounts (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- The tenant's own id for the account: the one in every path of the API.
    external_id text COLLATE "C" NOT NULL,
    name text,
    email text,
    stripe_customer text COLLATE "C",
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT accounts_external_id_key UNIQUE (tenant_id, external_id),
    CONSTRAINT accounts_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT accounts_external_id_check CHECK (external_id ~ '^[A-Za-z0-9_.:@-]{1,128}$')
);

-- The row that every posting to an account locks and rewrites, kept apart from the profile so that it stays small.
CREATE TABLE account_heads (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- The account's external_id, which never changes: a batch finds the head by it, without a look at the profile.
    external_id text COLLATE "C" NOT NULL,
    -- Rises by one with every batch that posts to the account. A batch that locked another version than its snapshot
    -- saw knows that it read stale grants.
    version bigint NOT NULL,
    -- What remains in all the account's grants, expired ones that no entry has closed yet included.
    credits bigint NOT NULL,
    -- What was spent, less refunds, since the current cycle began; without a cycle since the last one ended, or ever.
    used bigint NOT NULL,
    cycle_starts_at timestamptz,
    cycle_ends_at timestamptz,
    CONSTRAINT account_heads_pkey PRIMARY KEY (tenant_id, account_id),
    CONSTRAINT account_heads_external_id_key UNIQUE (tenant_id, external_id),
    CONSTRAINT account_heads_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT account_heads_credits_check CHECK (credits >= 0),
    CONSTRAINT account_heads_used_check CHECK (used >= 0),
    CONSTRAINT account_heads_cycle_check CHECK ((cycle_starts_at IS NULL) = (cycle_ends_at IS NULL))
) WITH (fillfactor = 40);

CREATE TABLE grants (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    amount bigint NOT NULL,
    remaining bigint NOT NULL,
    effective_at timestamptz NOT NULL,
    expires_at timestamptz,
    -- Set while nothing remains: drained, expired or revoked. It changes once in a grant's life (and back when a refund
    -- returns credits), so that an index can find the open ones at no cost to a spend.
    closed_at timestamptz,
    priority integer NOT NULL,
    class smallint NOT NULL,
    origin smallint NOT NULL,
    program_version integer,
    applies_to jsonb,
    paid_amount bigint,
    paid_currency text,
    top_up_id uuid,
    source_grant_id uuid,
    CONSTRAINT grants_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT grants_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT grants_amount_check CHECK (amount > 0),
    CONSTRAINT grants_remaining_check CHECK (remaining >= 0 AND remaining <= amount),
    CONSTRAINT grants_closed_check CHECK ((closed_at IS NULL) = (remaining > 0)),
    CONSTRAINT grants_life_check CHECK (expires_at > effective_at),
    CONSTRAINT grants_class_check CHECK (class IN (1, 2, 3)),
    CONSTRAINT grants_paid_check CHECK ((paid_amount IS NULL) = (paid_currency IS NULL))
) WITH (fillfactor = 40);

-- One index for an account's grants, with the open ones first to find. A partial index of the open ones beside a full one
-- by account left the choice to the planner, which took the full one while the table was empty and kept to it.
CREATE INDEX grants_by_account ON grants (tenant_id, account_id, closed_at);
-- A top-up is credited once, whatever Stripe repeats.
CREATE UNIQUE INDEX grants_top_up_key ON grants (tenant_id, top_up_id) WHERE top_up_id IS NOT NULL;

CREATE TABLE transactions (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    -- The sum that moved, in the unit's smallest step.
    amount bigint NOT NULL,
    -- What the spending order could draw for any operation once this was posted.
    available_after bigint NOT NULL,
    -- Booking time, and the time from which it counts.
    created_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    -- The API key that asked for it; null for what Scrip does itself (Stripe's events, expiry).
    actor_id uuid,
    -- Of a refund: the spend. Of a revocation or an expiry: the grant.
    subject_id uuid,
    kind smallint NOT NULL,
    idempotency_key text COLLATE "C",
    request_hash bytea,
    reason text,
    -- What the caller said of it: operation, member, metadata and the like.
    detail jsonb,
    CONSTRAINT transactions_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT transactions_idempotency_key_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT transactions_amount_check CHECK (amount > 0),
    CONSTRAINT transactions_available_check CHECK (available_after >= 0),
    CONSTRAINT transactions_request_hash_check CHECK ((idempotency_key IS NULL) = (request_hash IS NULL))
);

-- The refunds of a spend (kind 3), to know what was given back already.
CREATE INDEX transactions_refunds ON transactions (tenant_id, subject_id) WHERE kind = 3;

-- One movement from one ledger account to another: it names both, so an entry that does not balance can't be written.
CREATE TABLE entries (
    tenant_id uuid NOT NULL,
    account_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    grant_id uuid NOT NULL,
    amount bigint NOT NULL,
    seq smallint NOT NULL,
    debit smallint NOT NULL,
    credit smallint NOT NULL,
    CONSTRAINT entries_pkey PRIMARY KEY (tenant_id, account_id, transaction_id, seq),
    CONSTRAINT entries_amount_check CHECK (amount > 0),
    CONSTRAINT entries_sides_check CHECK (debit <> credit)
);

CREATE TABLE audit_log (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor_id uuid NOT NULL,
    actor_name text NOT NULL,
    action text NOT NULL,
    account_id uuid,
    transaction_id uuid,
    reason text NOT NULL,
    ticket text,
    detail jsonb,
    CONSTRAINT audit_log_pkey PRIMARY KEY (tenant_id, id)
);
