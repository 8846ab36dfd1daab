-- Previews: what a run would do, asked by a user and found out by a worker. Kept for a day.
CREATE TABLE previews (
    id            uuid PRIMARY KEY,
    account_id    uuid NOT NULL REFERENCES accounts ON DELETE CASCADE,
    sync_id       uuid REFERENCES syncs ON DELETE CASCADE,  -- null: of an address, before creation
    url           text NOT NULL,
    options       jsonb NOT NULL,
    accept        text[] NOT NULL DEFAULT '{}',
    state         text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'running', 'complete', 'failure')),
    stage         text,
    attempt_count integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    error_code    integer,
    error_message text,
    http_status   integer,
    result        jsonb,
    CHECK ((finished_at IS NULL) = (state IN ('pending', 'running')))
);
CREATE INDEX ON previews (account_id);
CREATE INDEX ON previews (sync_id);
CREATE INDEX ON previews (created_at);
