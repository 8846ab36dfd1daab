"""ogr2ogr with COPY and type detection, then the SQL that gives its table what ours has."""

from __future__ import annotations

import os
import subprocess
import time

from psycopg import sql

from comparison.bench import PEERS_SCHEMA, Bench
from comparison.contestants import Parts
from comparison.digests import check
from comparison.editions import Edition

_POINTS = """
    ALTER TABLE {table} ADD COLUMN the_geom geometry(Geometry, 4326)
        GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326)) STORED,
    ADD COLUMN the_geom_webmercator geometry(Geometry, 3857)
        GENERATED ALWAYS AS (ST_Transform(ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326), 3857))
        STORED"""

_SECOND_GEOMETRY = """
    ALTER TABLE {table} ADD COLUMN the_geom_webmercator geometry(Geometry, 3857)
        GENERATED ALWAYS AS (ST_Transform(the_geom, 3857)) STORED"""

_INDEX = "CREATE INDEX ON {table} USING gist ({column})"

_DROP = "DROP TABLE IF EXISTS {table}"


class Ogr2ogr:
    """The file is read from disk, not fetched, and goes in as one transaction.

    ``-gt unlimited`` was tried against the default: it is a little faster, and writes no WAL where
    ``wal_level`` is minimal.

    The second geometry is a generated column: PostgreSQL then writes the table once more, which is
    faster than an UPDATE, and leaves no dead rows. The spatial index of ogr2ogr is put off until
    then.
    """

    remark = "reads the file from disk"
    is_slow = False

    def __init__(self, bench: Bench, *, label: str) -> None:
        self._bench = bench
        self._label = label
        self.table = sql.Identifier(PEERS_SCHEMA, label)

    @property
    def name(self) -> str:
        return "ogr2ogr + SQL"

    def create(self, edition: Edition) -> Parts:
        return self._load(edition, "-overwrite")

    refresh = create

    def check(self, edition: Edition) -> None:
        check(self._bench.owner, self.table, edition.digest)

    def drop(self) -> None:
        self._bench.owner.execute(sql.SQL(_DROP).format(table=self.table))

    def _load(self, edition: Edition, *options: str) -> Parts:
        began_at = time.perf_counter()
        subprocess.run(
            self._command(edition, *options),
            check=True,
            env=os.environ | self._bench.libpq_environment(),
        )
        loaded_at = time.perf_counter()
        self._finish(edition)
        ended_at = time.perf_counter()
        return {"ogr2ogr": loaded_at - began_at, "SQL": ended_at - loaded_at}

    def _command(self, edition: Edition, *options: str) -> list[str]:
        source = f"/vsizip/{edition.path}" if edition.format == "zip" else str(edition.path)
        command = ["ogr2ogr", "-f", "PostgreSQL", *options, "--config", "PG_USE_COPY", "YES"]
        command += ["-gt", "unlimited", "-nln", f"{PEERS_SCHEMA}.{self._label}"]
        command += ["-lco", "FID=cartodb_id"]
        command += ["-lco", "GEOMETRY_NAME=the_geom", "-lco", "SPATIAL_INDEX=NONE"]
        if edition.format == "csv" and edition.coordinates:
            lon, lat = edition.coordinates
            command += ["-oo", "AUTODETECT_TYPE=YES", "-oo", f"X_POSSIBLE_NAMES={lon}"]
            command += ["-oo", f"Y_POSSIBLE_NAMES={lat}", "-a_srs", "EPSG:4326"]
        return [*command, "PG:", source]

    def _finish(self, edition: Edition) -> None:
        has_shape = edition.format != "xlsx"
        lon, lat = edition.coordinates or ("", "")
        geometry = sql.SQL(_SECOND_GEOMETRY if has_shape else _POINTS).format(
            table=self.table, lon=sql.Identifier(lon or "-"), lat=sql.Identifier(lat or "-")
        )
        with self._bench.owner.transaction():
            self._bench.owner.execute(geometry)
            for column in ("the_geom", "the_geom_webmercator"):
                index = sql.SQL(_INDEX).format(table=self.table, column=sql.Identifier(column))
                self._bench.owner.execute(index)
