-- Which relations these were when we last looked. A restored dump brings the row and makes the
-- relations anew, under other numbers: that is how we know that all numbers kept here are stale.
CREATE TABLE origin (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    oids        oid[] NOT NULL -- of accounts, syncs and tables, in this order
);
