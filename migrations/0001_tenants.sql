-- Tenants, their keys and their programs.
--
-- Rules for every migration (see docs/ARCHITECTURE.md): tenant_id leads every primary, unique and foreign key;
-- every constraint is named; no triggers, deferred checks, domains or DO blocks, so that the schema can be distributed
-- by tenant.

-- The one table that is not divided by tenant: it says which tenants there are, so its slug is unique over all of them.
CREATE TABLE tenants (
    tenant_id uuid NOT NULL,
    slug text COLLATE "C" NOT NULL,
    name text NOT NULL,
    mode text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT tenants_slug_key UNIQUE (slug),
    CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    CONSTRAINT tenants_mode_check CHECK (mode IN ('live', 'sandbox'))
);

CREATE TABLE api_keys (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- SHA-256 of the whole key. The key carries 256 random bits, so a slow hash would add nothing.
    key_hash bytea NOT NULL,
    role text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (tenant_id, key_hash),
    CONSTRAINT api_keys_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT api_keys_key_hash_check CHECK (octet_length(key_hash) = 32),
    CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'backend', 'support', 'read'))
);

-- Every version is kept: a grant names the version it was made under.
CREATE TABLE programs (
    tenant_id uuid NOT NULL,
    version integer NOT NULL,
    document jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by uuid,
    CONSTRAINT programs_pkey PRIMARY KEY (tenant_id, version),
    CONSTRAINT programs_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenants (tenant_id),
    CONSTRAINT programs_version_check CHECK (version > 0)
);

-- Answers to writes that post no transaction (a transaction keeps its own idempotency key). Sealed, because an answer
-- can hold a key that is shown once.
CREATE TABLE idempotent_requests (
    tenant_id uuid NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request_hash bytea NOT NULL,
    status smallint,
    answer_sealed bytea,
    created_at timestamptz NOT NULL,
    CONSTRAINT idempotent_requests_pkey PRIMARY KEY (tenant_id, idempotency_key),
    CONSTRAINT idempotent_requests_request_hash_check CHECK (octet_length(request_hash) = 16)
);
