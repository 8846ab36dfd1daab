-- Files in cloud drives: tokens of accounts, consents under way, and items in place of addresses.

-- One token of an account at a service, sealed: whoever reads this row alone learns nothing.
CREATE TABLE oauth_tokens (
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    service    text NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, service)
);

-- A user who was sent to a service and has not come back yet. Removed by the first who comes back.
CREATE TABLE oauth_consents (
    id              uuid PRIMARY KEY,
    account_id      uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    service         text NOT NULL,
    sealed_verifier bytea NOT NULL,                -- RFC 7636: whoever holds it may redeem the code
    redirect_uri    text NOT NULL,
    expires_at      timestamptz NOT NULL
);
CREATE INDEX ON oauth_consents (account_id, service);
CREATE INDEX ON oauth_consents (expires_at);

-- What a service calls the version that the table holds.
ALTER TABLE syncs ADD COLUMN revision text;
-- Of an item the address is its page for people, once a run has learnt it.
ALTER TABLE syncs ALTER COLUMN url DROP NOT NULL;

ALTER TABLE runs ADD COLUMN service_name text;
ALTER TABLE runs ADD COLUMN service_item_id text;
ALTER TABLE previews ADD COLUMN service_name text;
ALTER TABLE previews ADD COLUMN service_item_id text;
ALTER TABLE previews ALTER COLUMN url DROP NOT NULL;
