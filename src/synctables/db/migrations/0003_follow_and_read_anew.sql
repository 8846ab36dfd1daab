-- What a sync follows when nobody chose, and whether its options changed since its table was read.
ALTER TABLE syncs
    ADD COLUMN followed_layer text,
    ADD COLUMN reads_anew boolean NOT NULL DEFAULT false;

-- Who gives a table of an account its name locks this row: advisory locks may be taken by anybody
-- who can connect, and an account's own row is locked by other business.
CREATE TABLE name_locks (
    account_id uuid PRIMARY KEY REFERENCES accounts ON DELETE CASCADE
);
