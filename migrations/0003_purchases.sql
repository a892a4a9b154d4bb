-- Buying credits: a tenant's Stripe settings, its top-ups, and the inbox of Stripe's events.

CREATE TABLE stripe_settings (
    tenant_id uuid NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    secret_key_sealed bytea NOT NULL,
    -- A sealed JSON array: two secrets during a rotation.
    webhook_secrets_sealed bytea NOT NULL,
    livemode boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT stripe_settings_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT stripe_settings_endpoint_key UNIQUE (tenant_id, endpoint_id),
    CONSTRAINT stripe_settings_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id)
);

-- Our own row, written before Stripe is asked. What is credited comes from here.
CREATE TABLE top_ups (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    status text NOT NULL,
    mode text NOT NULL,
    pack text NOT NULL,
    -- What Stripe is told, so that asking again says the same.
    title text NOT NULL,
    stripe_customer text COLLATE "C",
    email text,
    program_version integer NOT NULL,
    price_amount bigint NOT NULL,
    price_currency text NOT NULL,
    credits bigint NOT NULL,
    class smallint NOT NULL,
    -- The pack's expiry rule as it stood at the purchase.
    expiry jsonb NOT NULL,
    -- With expiry cycle_end: the end of the cycle in which it was bought.
    expires_at timestamptz,
    livemode boolean NOT NULL,
    -- Rises when Stripe refuses, so that the next request is a new one to Stripe; stays while the outcome is unknown.
    attempt integer NOT NULL,
    success_url text NOT NULL,
    cancel_url text NOT NULL,
    checkout_session_id text COLLATE "C",
    checkout_url text,
    payment_intent_id text COLLATE "C",
    -- As registered in idempotent_requests, to find the row again when a request is repeated.
    idempotency_key text COLLATE "C",
    actor_id uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    credited_at timestamptz,
    grant_id uuid,
    failure text,
    CONSTRAINT top_ups_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT top_ups_account_fkey FOREIGN KEY (tenant_id, account_id) REFERENCES accounts (tenant_id, id),
    CONSTRAINT top_ups_session_key UNIQUE (tenant_id, checkout_session_id),
    CONSTRAINT top_ups_payment_intent_key UNIQUE (tenant_id, payment_intent_id),
    CONSTRAINT top_ups_idempotency_key_key UNIQUE (tenant_id, idempotency_key),
    CONSTRAINT top_ups_status_check CHECK (status IN ('created', 'open', 'processing', 'credited', 'failed', 'expired')),
    CONSTRAINT top_ups_credits_check CHECK (credits > 0),
    CONSTRAINT top_ups_price_check CHECK (price_amount > 0),
    CONSTRAINT top_ups_credited_check CHECK ((status = 'credited') = (grant_id IS NOT NULL AND credited_at IS NOT NULL))
);

CREATE INDEX top_ups_by_account ON top_ups (tenant_id, account_id, id);

-- Stripe's events as they came, worked off once each.
CREATE TABLE stripe_events (
    tenant_id uuid NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    livemode boolean NOT NULL,
    payload bytea NOT NULL,
    state text NOT NULL,
    -- Why it is in that state, in words for support.
    note text,
    attempts integer NOT NULL,
    next_attempt_at timestamptz,
    received_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT stripe_events_pkey PRIMARY KEY (tenant_id, event_id),
    CONSTRAINT stripe_events_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT stripe_events_state_check CHECK (state IN ('pending', 'done', 'ignored', 'parked', 'quarantined')),
    CONSTRAINT stripe_events_due_check CHECK ((next_attempt_at IS NOT NULL) = (state IN ('pending', 'parked')))
);

CREATE INDEX stripe_events_due ON stripe_events (tenant_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
