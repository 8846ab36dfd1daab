-- What the triggers on users' tables do when somebody edits them by hand. Who edits sees nothing of
-- this schema, so the functions run with its owner's rights. No refresh relies on them.

-- Degrees to webmercator metres: latitudes are clamped to the square, longitudes are left, so that a
-- shape across the antimeridian stays whole (ST_Transform raises beyond 90 degrees and wraps beyond
-- 180). The same rule in the worker: importer/infer/projection.py. NULL where a coordinate is not
-- finite. WKT is where SQL reaches every vertex of every type of shape.
CREATE FUNCTION webmercator(shape public.geometry) RETURNS public.geometry
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET extra_float_digits = 1
AS $$
DECLARE
    radius constant float8 := 6378137;
    limit_degrees constant float8 := 85.0511287798066;
    wkt constant text := public.ST_AsText(public.ST_Force2D(shape), 40);
    vertices text;
BEGIN
    IF wkt ~ '[a-df-z]' THEN  -- NaN or Infinity; a lower-case e is an exponent's
        RETURN NULL;
    END IF;
    SELECT string_agg(
        format('%s%s %s', part[1], radians(part[2]::float8) * radius,
               ln(tan(pi() / 4 + radians(
                   greatest(-limit_degrees, least(limit_degrees, part[3]::float8))) / 2)) * radius),
        '' ORDER BY number)
    INTO vertices
    FROM regexp_matches(wkt, '([^-0-9]*)(-?[0-9.]+(?:e[-+]?[0-9]+)?) (-?[0-9.]+(?:e[-+]?[0-9]+)?)', 'g')
        WITH ORDINALITY AS found(part, number);
    RETURN public.ST_GeomFromText(concat(vertices, substring(wkt FROM '[^0-9]*$')), 3857);
END
$$;

-- A user's own webmercator shape wins, and so do those that a refresh writes: it sets both.
CREATE FUNCTION fill_webmercator() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.the_geom_webmercator := synctables.webmercator(NEW.the_geom);
    RETURN NEW;
END
$$;

-- When a table that a sync keeps was last edited by hand. Only ever appended to by those who edit:
-- writing to the sync's own row would deadlock with the refresh that holds it. A refresh removes
-- what it finds, its own edits among them, which it knows by their transaction.
CREATE TABLE edits (
    relation_oid oid NOT NULL,
    xid          xid8 NOT NULL,
    at           timestamptz NOT NULL
);
CREATE INDEX ON edits (relation_oid, at);

CREATE FUNCTION note_edit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO synctables.edits (relation_oid, xid, at)
    SELECT TG_RELID, pg_current_xact_id(), clock_timestamp()
    FROM synctables.tables JOIN synctables.syncs ON syncs.table_id = tables.id
    WHERE tables.relation_oid = TG_RELID;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION webmercator, fill_webmercator, note_edit FROM PUBLIC;

CREATE INDEX ON syncs (table_id);

-- How many bytes an index had for each row of its table when it was built; one that has grown far
-- beyond that by many refreshes is built anew.
CREATE TABLE index_sizes (
    index_oid     oid PRIMARY KEY,
    table_id      uuid NOT NULL REFERENCES tables ON DELETE CASCADE,
    bytes_per_row double precision NOT NULL
);
CREATE INDEX ON index_sizes (table_id);
