-- What a refresh remembers of the table it left behind, to find the rows that differ without reading it.

-- Tables that are being built, and nothing else: what a dead process leaves here is swept away.
CREATE SCHEMA IF NOT EXISTS synctables_work;
REVOKE ALL ON SCHEMA synctables_work FROM PUBLIC;

CREATE TABLE table_states (
    table_id       uuid PRIMARY KEY REFERENCES tables ON DELETE CASCADE,
    relation_oid   oid NOT NULL,
    filenode       oid NOT NULL,      -- another one: the rows were rewritten by somebody
    columns        jsonb NOT NULL,    -- name, number, type and modifier of each column of ours
    signature_tag  text NOT NULL,     -- how the hashes were made; other hashes cannot be compared
    row_count      bigint NOT NULL,
    census_xids    bigint[] NOT NULL, -- transactions, and how many rows each has in the table
    census_rows    bigint[] NOT NULL,
    file_columns   text[] NOT NULL,   -- of ours, those that the last version of the file had
    key_column     text,              -- the detected key that paired rows last time
    unique_columns text[] NOT NULL    -- columns that told all rows of the version apart
);

-- A signature is a row's hash, beside its cartodb_id; the base holds them in file order.
CREATE TABLE signature_chunks (
    table_id uuid NOT NULL REFERENCES table_states ON DELETE CASCADE,
    number   integer NOT NULL,
    content  bytea NOT NULL,
    PRIMARY KEY (table_id, number)
);
ALTER TABLE signature_chunks ALTER COLUMN content SET STORAGE EXTERNAL;

-- What came after the base; the entry with the highest number holds for an id.
CREATE TABLE signature_journal (
    table_id uuid NOT NULL REFERENCES table_states ON DELETE CASCADE,
    number   integer NOT NULL,
    content  bytea NOT NULL,
    PRIMARY KEY (table_id, number)
);
ALTER TABLE signature_journal ALTER COLUMN content SET STORAGE EXTERNAL;
