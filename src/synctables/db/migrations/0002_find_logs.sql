-- A log is found by its id: by whoever reads it, and when logs that nothing has any more are removed.
CREATE INDEX ON runs (log_id, created_at DESC);
CREATE INDEX ON syncs (log_id);
