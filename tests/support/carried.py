"""What users hang on a table, case by case: statements for ``alice.cities``."""

from __future__ import annotations

EDIT = """
CREATE FUNCTION alice.note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$
"""

CARRIED = {
    "a table as it was made": (),
    "indexes, by name": (
        'CREATE INDEX by_name ON alice.cities (name COLLATE "C" DESC NULLS LAST)',
        'CREATE UNIQUE INDEX "By Code" ON alice.cities (code) INCLUDE (size) WHERE size > 0',
        "CREATE INDEX by_both ON alice.cities (lower(name), (size + 1)) WITH (fillfactor = 70)",
        "CREATE INDEX by_block ON alice.cities USING brin (size)",
        "ALTER INDEX alice.by_both ALTER COLUMN 2 SET STATISTICS 300",
        "COMMENT ON INDEX alice.by_name IS 'it''s mine'",
    ),
    "constraints, by name": (
        'ALTER TABLE alice.cities RENAME CONSTRAINT cities_pkey TO "the key"',
        "ALTER TABLE alice.cities ADD CONSTRAINT one_code UNIQUE (code) DEFERRABLE"
        " INITIALLY DEFERRED",
        "ALTER TABLE alice.cities ADD CONSTRAINT nothing_twice"
        " UNIQUE NULLS NOT DISTINCT (name, size)",
        "ALTER TABLE alice.cities ADD CONSTRAINT positive CHECK (size > 0)",
        "ALTER TABLE alice.cities ADD CONSTRAINT apart EXCLUDE USING btree (code WITH =)",
        "ALTER TABLE alice.cities ALTER size SET NOT NULL",
        "COMMENT ON CONSTRAINT positive ON alice.cities IS 'no ghost towns'",
        "COMMENT ON CONSTRAINT \"the key\" ON alice.cities IS 'key'",
    ),
    "a table without a primary key": ("ALTER TABLE alice.cities DROP CONSTRAINT cities_pkey",),
    "columns of users' own": (
        "ALTER TABLE alice.cities ADD rank integer NOT NULL DEFAULT 7",
        "ALTER TABLE alice.cities ADD gone text",
        'ALTER TABLE alice.cities ADD "The Note" varchar(9) COLLATE "C"',
        "ALTER TABLE alice.cities ADD number serial",
        "ALTER TABLE alice.cities ADD always integer GENERATED ALWAYS AS IDENTITY (INCREMENT 5)",
        "ALTER TABLE alice.cities ADD double bigint GENERATED ALWAYS AS (size * 2) STORED",
        "ALTER TABLE alice.cities DROP gone",
    ),
    "how columns are kept": (
        "ALTER TABLE alice.cities ALTER name SET STORAGE EXTERNAL",
        "ALTER TABLE alice.cities ALTER code SET COMPRESSION pglz",
        "ALTER TABLE alice.cities ALTER size SET STATISTICS 500",
        "ALTER TABLE alice.cities ALTER size SET (n_distinct = -0.5)",
        "ALTER TABLE alice.cities ALTER size SET DEFAULT 5",
    ),
    "how the table is kept": (
        "ALTER TABLE alice.cities SET (fillfactor = 40, autovacuum_enabled = false,"
        " toast.autovacuum_vacuum_threshold = 77)",
        "ALTER TABLE alice.cities CLUSTER ON cities_pkey",
    ),
    "a table that is not logged": ("ALTER TABLE alice.cities SET UNLOGGED",),
    "options and names of the sequence": (
        "ALTER TABLE alice.cities ALTER cartodb_id SET MAXVALUE 1000 SET CACHE 3 SET CYCLE",
        "ALTER SEQUENCE alice.cities_cartodb_id_seq RENAME TO counter",
        "COMMENT ON SEQUENCE alice.counter IS 'counts'",
        "CREATE ROLE counting",
        "GRANT USAGE ON SEQUENCE alice.counter TO counting",
    ),
    "rights": (
        "CREATE ROLE bob",
        "CREATE ROLE carol",
        "GRANT SELECT, UPDATE ON alice.cities TO bob WITH GRANT OPTION",
        "GRANT INSERT ON alice.cities TO PUBLIC",
        "GRANT UPDATE (name), SELECT (name) ON alice.cities TO carol",
        "REVOKE TRUNCATE ON alice.cities FROM synctables",
        "GRANT bob TO synctables",
        "GRANT USAGE ON SCHEMA alice TO bob",
        "SET ROLE bob; GRANT SELECT ON alice.cities TO carol; RESET ROLE",
    ),
    "rights taken from the reader": (
        "DO $$ BEGIN EXECUTE format('REVOKE ALL ON alice.cities FROM %I',"
        " (SELECT reader_role FROM accounts)); END $$",
    ),
    "default privileges that came later": (
        "CREATE ROLE dave",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO dave",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA alice GRANT ALL ON TABLES TO dave",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO dave",
    ),
    "comments": (
        "COMMENT ON TABLE alice.cities IS E'back\\\\slash, \"quotes\"'",
        "COMMENT ON COLUMN alice.cities.the_geom IS '100 %'",
    ),
    "triggers and their states": (
        EDIT,
        "CREATE TRIGGER zeroth BEFORE INSERT OR UPDATE OF name, size ON alice.cities"
        " FOR EACH ROW WHEN (NEW.size > 3) EXECUTE FUNCTION alice.note('a', 'b')",
        "CREATE TRIGGER off AFTER DELETE ON alice.cities REFERENCING OLD TABLE AS olds"
        " FOR EACH STATEMENT EXECUTE FUNCTION alice.note()",
        "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON alice.cities"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION alice.note()",
        "CREATE TRIGGER replica BEFORE UPDATE ON alice.cities"
        " FOR EACH ROW EXECUTE FUNCTION alice.note()",
        "ALTER TABLE alice.cities DISABLE TRIGGER off",
        "ALTER TABLE alice.cities ENABLE REPLICA TRIGGER replica",
        "ALTER TABLE alice.cities ENABLE ALWAYS TRIGGER zeroth",
        "COMMENT ON TRIGGER zeroth ON alice.cities IS 'first of all'",
    ),
    "rules and their states": (
        "CREATE TABLE alice.log (name text)",
        "CREATE RULE logged AS ON UPDATE TO alice.cities WHERE NEW.size > 9"
        " DO ALSO INSERT INTO alice.log SELECT name FROM alice.cities WHERE code = NEW.code",
        "CREATE RULE no_delete AS ON DELETE TO alice.cities DO INSTEAD NOTHING",
        "ALTER TABLE alice.cities DISABLE RULE no_delete",
        "COMMENT ON RULE logged ON alice.cities IS 'logs'",
    ),
    "policies": (
        "CREATE ROLE eve",
        "CREATE POLICY small ON alice.cities FOR SELECT TO eve, PUBLIC USING (size < 10)",
        "CREATE POLICY largest ON alice.cities AS RESTRICTIVE TO eve"
        " USING (size > (SELECT min(size) FROM alice.cities)) WITH CHECK (size > 1)",
        "ALTER TABLE alice.cities ENABLE ROW LEVEL SECURITY",
        "COMMENT ON POLICY small ON alice.cities IS 'small ones'",
    ),
    "a publication": (
        "CREATE PUBLICATION plain FOR TABLE alice.cities",
        "CREATE PUBLICATION keyed FOR TABLE alice.cities (cartodb_id, name)"
        " WHERE (cartodb_id > 5) WITH (publish = 'insert, delete')",
        "COMMENT ON PUBLICATION keyed IS 'ids and names'",
    ),
    "publications that cannot follow changed rows": (
        "CREATE PUBLICATION plain FOR TABLE alice.cities",
        "CREATE PUBLICATION narrow FOR TABLE alice.cities (cartodb_id, name)"
        " WHERE (cartodb_id > 5)",
        "ALTER TABLE alice.cities REPLICA IDENTITY FULL",
    ),
    "a publication without a replica identity": (
        "CREATE PUBLICATION plain FOR TABLE alice.cities",
        "ALTER TABLE alice.cities REPLICA IDENTITY NOTHING",
    ),
    "replica identity by an index": (
        "ALTER TABLE alice.cities ALTER code SET NOT NULL",
        "CREATE UNIQUE INDEX by_code ON alice.cities (code)",
        "ALTER TABLE alice.cities REPLICA IDENTITY USING INDEX by_code",
    ),
    "extended statistics": (
        "CREATE STATISTICS alice.together (ndistinct, mcv) ON name, size FROM alice.cities",
        'CREATE STATISTICS alice."Lower" ON lower(name), code FROM alice.cities',
        "ALTER STATISTICS alice.together SET STATISTICS 42",
        "COMMENT ON STATISTICS alice.together IS 'both'",
    ),
    "views and views of views": (
        "CREATE ROLE frank",
        "CREATE VIEW alice.large WITH (security_barrier) AS SELECT * FROM alice.cities"
        " WHERE size > 100 WITH LOCAL CHECK OPTION",
        "CREATE VIEW alice.names (title) AS SELECT name FROM alice.large",
        "CREATE VIEW alice.again WITH (security_invoker = true) AS"
        " SELECT a.cartodb_id, b.title FROM alice.cities a JOIN alice.names b ON a.name = b.title",
        "CREATE VIEW alice.grouped AS SELECT cartodb_id, name FROM alice.cities"
        " GROUP BY cartodb_id",
        "COMMENT ON VIEW alice.large IS 'large'",
        "COMMENT ON COLUMN alice.large.name IS 'its name'",
        "ALTER VIEW alice.large ALTER size SET DEFAULT 1000",
        "GRANT SELECT ON alice.names TO frank",
    ),
    "a foreign key from another table": (
        "CREATE TABLE alice.people (id int PRIMARY KEY, city bigint CONSTRAINT lives"
        " REFERENCES alice.cities ON DELETE CASCADE ON UPDATE SET NULL)",
        "INSERT INTO alice.people VALUES (1, 1), (2, 2), (3, NULL)",
        "COMMENT ON CONSTRAINT lives ON alice.people IS 'where'",
    ),
    "a foreign key of several columns that may be late": (
        "ALTER TABLE alice.cities ADD CONSTRAINT pair UNIQUE (code, cartodb_id)",
        "CREATE TABLE alice.people (city bigint, code text, FOREIGN KEY (code, city)"
        " REFERENCES alice.cities (code, cartodb_id) MATCH FULL DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO alice.people VALUES (1, 'a'), (NULL, NULL)",
    ),
    "a foreign key that was never validated": (
        "CREATE TABLE alice.people (city bigint)",
        "INSERT INTO alice.people VALUES (99)",
        "ALTER TABLE alice.people ADD FOREIGN KEY (city) REFERENCES alice.cities NOT VALID",
    ),
    "a foreign key to another table": (
        "CREATE TABLE alice.codes (code text PRIMARY KEY)",
        "INSERT INTO alice.codes VALUES ('a'), ('b'), ('c'), ('d'), ('e')",
        "ALTER TABLE alice.cities ADD CONSTRAINT known FOREIGN KEY (code)"
        " REFERENCES alice.codes ON UPDATE CASCADE",
        "COMMENT ON CONSTRAINT known ON alice.cities IS 'known ones'",
    ),
    "a foreign key to itself": (
        "ALTER TABLE alice.cities ADD capital bigint CONSTRAINT rules"
        " REFERENCES alice.cities ON DELETE SET NULL",
        "UPDATE alice.cities SET capital = 1",
        "COMMENT ON CONSTRAINT rules ON alice.cities IS 'self'",
    ),
}
