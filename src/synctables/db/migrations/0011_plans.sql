-- Plans: what an account may do, and what is counted for whoever watches the service.

-- NULL in a limit: the plan sets none. Interval, runs and file size are then those of the settings.
CREATE TABLE plans (
    name                     text PRIMARY KEY,
    sync_tables              boolean NOT NULL DEFAULT true,
    private_tables           boolean NOT NULL DEFAULT true,
    max_syncs                integer CHECK (max_syncs >= 0),
    minimum_interval_seconds integer CHECK (minimum_interval_seconds > 0),
    max_concurrent_runs      integer CHECK (max_concurrent_runs > 0),
    max_concurrent_imports   integer DEFAULT 3 CHECK (max_concurrent_imports > 0),
    max_file_bytes           bigint CHECK (max_file_bytes > 0),
    max_rows                 bigint CHECK (max_rows > 0),
    max_tables               integer CHECK (max_tables >= 0),
    max_storage_bytes        bigint CHECK (max_storage_bytes >= 0),
    created_at               timestamptz NOT NULL DEFAULT now()
);
INSERT INTO plans (name) VALUES ('default');

ALTER TABLE accounts ADD COLUMN plan text NOT NULL DEFAULT 'default' REFERENCES plans (name);
CREATE INDEX ON accounts (plan);

-- What a table takes, as of the last run that changed it; NULL: no run has measured it yet.
ALTER TABLE tables ADD COLUMN size_bytes bigint;

-- What fails, by code, for whoever watches the service.
CREATE INDEX syncs_failing ON syncs (error_code) WHERE state = 'failure';

-- What was counted since this database was made, for /metrics: added to in the transaction that
-- makes it true. Shards, so that runs that end at the same moment do not wait for each other.
CREATE TABLE totals (
    name  text NOT NULL,
    label text NOT NULL,
    shard smallint NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (name, label, shard)
) WITH (fillfactor = 50);
