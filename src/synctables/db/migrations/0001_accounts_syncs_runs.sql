-- Bookkeeping: who (accounts), what exists (tables), what is kept fresh (syncs), how it went (runs).
-- Forward only. Everything lives in the schema synctables; readers' roles cannot see it.

CREATE TABLE accounts (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE,          -- also the name of the account's schema
    reader_role text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    account_id uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    key_sha256 bytea NOT NULL UNIQUE,          -- keys are random 160 bits, so a plain hash suffices
    label      text NOT NULL,                  -- 'master', or 'local' for the machine of `serve`
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON api_keys (account_id);

CREATE TABLE tables (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    schema_name  text NOT NULL,
    name         text NOT NULL,
    relation_oid oid NOT NULL UNIQUE,          -- a renamed table is followed by this
    row_count    bigint NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON tables (account_id);

CREATE TABLE syncs (
    id                     uuid PRIMARY KEY,
    account_id             uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    table_id               uuid REFERENCES tables ON DELETE SET NULL,
    name                   text,
    url                    text NOT NULL,
    service_name           text,
    service_item_id        text,
    interval_seconds       integer NOT NULL CHECK (interval_seconds > 0),
    state                  text NOT NULL
        CHECK (state IN ('created', 'queued', 'syncing', 'success', 'failure')),
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    run_at                 timestamptz NOT NULL,   -- the documented due time, exact
    spread_seconds         real NOT NULL,          -- how much later it is claimed, within 60 s
    ran_at                 timestamptz NOT NULL,
    attempted_at           timestamptz,
    modified_at            timestamptz,
    retried_times          integer NOT NULL DEFAULT 0,
    log_id                 uuid NOT NULL UNIQUE,
    error_code             integer,
    error_message          text,
    etag                   text,                   -- what the table holds, never what was merely seen
    last_modified          text,
    content_sha256         text,
    source_modified_at     timestamptz,
    type_guessing          boolean NOT NULL,
    quoted_fields_guessing boolean NOT NULL,
    content_guessing       boolean NOT NULL,
    table_name             text,                   -- the name asked for
    layer                  text,
    key_columns            text[] NOT NULL,
    column_types           jsonb NOT NULL,
    schema_policy          text NOT NULL CHECK (schema_policy IN ('evolve', 'freeze')),
    max_row_loss           double precision NOT NULL CHECK (max_row_loss BETWEEN 0 AND 1),
    on_empty               text NOT NULL CHECK (on_empty IN ('refuse', 'accept')),
    contract               jsonb NOT NULL DEFAULT '[]',  -- columns of the last version that was applied
    visualization_id       uuid,
    from_external_source   boolean NOT NULL DEFAULT false
);
CREATE INDEX ON syncs (account_id, created_at);
CREATE INDEX syncs_due ON syncs (run_at) WHERE state IN ('success', 'failure');

CREATE TABLE runs (
    id              uuid PRIMARY KEY,              -- the API's item_queue_id
    account_id      uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    sync_id         uuid REFERENCES syncs ON DELETE SET NULL,
    log_id          uuid NOT NULL,
    state           text NOT NULL CHECK (state IN
        ('pending', 'uploading', 'unpacking', 'importing', 'complete', 'failure')),
    outcome         text CHECK (outcome IN
        ('success', 'not_modified', 'refused', 'transient', 'terminal', 'killed')),
    url             text,
    file_name       text,
    options         jsonb NOT NULL,
    accept          text[] NOT NULL DEFAULT '{}',
    attempt_count   integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    finished_at     timestamptz,
    error_code      integer,
    error_message   text,
    http_status     integer,
    table_id        uuid REFERENCES tables ON DELETE SET NULL,
    table_names     text[] NOT NULL DEFAULT '{}',
    left_out_layers text[] NOT NULL DEFAULT '{}',
    report          jsonb NOT NULL DEFAULT '{}',
    progress        jsonb NOT NULL DEFAULT '{}',
    CHECK ((finished_at IS NULL) = (outcome IS NULL)),
    CHECK ((finished_at IS NULL) = (state NOT IN ('complete', 'failure')))
);
CREATE INDEX ON runs (account_id, created_at DESC);
CREATE INDEX ON runs (sync_id, created_at DESC);
CREATE INDEX runs_unfinished ON runs (created_at) WHERE finished_at IS NULL;

-- The fence: at COMMIT a run must still hold its token, or another worker owns it (refresh.md 14).
-- A row of its own, so that nothing else ever locks it.
CREATE TABLE fences (
    run_id uuid PRIMARY KEY REFERENCES runs ON DELETE CASCADE,
    token  uuid NOT NULL
);

-- Uploaded files travel through the database, so that any worker on any machine can import them.
CREATE TABLE upload_chunks (
    run_id  uuid NOT NULL REFERENCES runs ON DELETE CASCADE,
    number  integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (run_id, number)
);
ALTER TABLE upload_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

CREATE TABLE log_entries (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_id  uuid NOT NULL,
    run_id  uuid,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    level   text NOT NULL,
    stage   text,
    message text NOT NULL
);
CREATE INDEX ON log_entries (log_id, id);
