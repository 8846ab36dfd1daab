-- Two tiers: most due syncs are only asked whether their source changed, many of them by one job.

-- A batch of syncs to be asked, until it is done. Its token fences as that of a run does: a worker
-- that was presumed dead and comes back finds another one.
CREATE TABLE checks (
    id            uuid PRIMARY KEY,
    claim_id      uuid NOT NULL,
    sync_ids      uuid[] NOT NULL,
    token         uuid,
    attempt_count integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE syncs
    ADD COLUMN claim_id uuid,             -- the claim whose check has it; null once that ended
    ADD COLUMN put_off_until timestamptz; -- its host asked to be left alone; run_at stays exact

-- What is due, in the order in which it is claimed. syncs_due stays for workers of the last version.
CREATE INDEX syncs_claimable ON syncs (greatest(run_at, put_off_until))
    WHERE state IN ('success', 'failure');
-- What something must be at work on; looked through every few seconds.
CREATE INDEX syncs_under_way ON syncs (id) WHERE state IN ('created', 'queued', 'syncing');
-- The unique constraint brought the same index.
DROP INDEX syncs_log_id_idx;
-- Every check writes a row anew, so a fifth of a million is too late.
ALTER TABLE syncs SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);

-- Above its account's limit a run waits without a job. What workers of the last version insert has one.
ALTER TABLE runs ADD COLUMN waits boolean NOT NULL DEFAULT false;
CREATE INDEX runs_unfinished_of_account ON runs (account_id, created_at) WHERE finished_at IS NULL;
CREATE INDEX runs_waiting ON runs (account_id) WHERE finished_at IS NULL AND waits;

-- When the clock last struck: a server clock that was put back would leave every sync in the future.
CREATE TABLE clock (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    struck_at   timestamptz NOT NULL
);
