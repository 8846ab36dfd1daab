"""The benchmark tells a table that equals the file from one that nearly does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from comparison import rows
from comparison.digests import Digest, UnequalTableError, check, digest_of
from synctables.localpg import LocalCluster

TABLE = sql.Identifier("public", "measured")
ROW_COUNT = 500

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def expected() -> Digest:
    return digest_of(rows.make_points(ROW_COUNT))


@pytest.fixture
def measured(cluster: LocalCluster) -> Iterator[Connection]:
    """The points in a table as a good peer makes it, gone after the test."""
    with psycopg.connect(cluster.superuser_url(database="synctables")) as connection:
        connection.execute(
            "CREATE TABLE public.measured (cartodb_id bigint PRIMARY KEY, id bigint, name text,"
            " lat numeric, lon double precision, size integer, share double precision,"
            " code bigint, day timestamp, is_open integer, note text,"
            " the_geom geometry(Geometry, 4326), the_geom_webmercator geometry(Geometry, 3857))"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO public.measured SELECT row_number, row_number, %s, %s, %s, %s, %s,"
                " %s, %s, %s, %s FROM (SELECT %s::bigint AS row_number) AS numbered",
                [
                    (*one[1:8], int(one[8]), one[9], one[0])
                    for one in zip(*rows.make_points(ROW_COUNT).to_pydict().values(), strict=True)
                ],
            )
        connection.execute(
            "UPDATE public.measured SET the_geom = ST_SetSRID(ST_MakePoint(lon, lat), 4326),"
            " the_geom_webmercator ="
            " ST_Transform(ST_SetSRID(ST_MakePoint(lon, lat), 4326), 3857)"
        )
        for column in ("the_geom", "the_geom_webmercator"):
            connection.execute(f"CREATE INDEX ON public.measured USING gist ({column})")
        yield connection
        connection.rollback()


def test_a_table_with_other_types_of_the_same_values_equals_the_file(
    measured: Connection, expected: Digest
) -> None:
    check(measured, TABLE, expected)
    assert expected.row_count == ROW_COUNT


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE measured SET size = size + 1 WHERE id = 7", "values differ"),
        ("UPDATE measured SET share = share + 0.000001 WHERE id = 7", "values differ"),
        ("UPDATE measured SET is_open = 1 - is_open WHERE id = 7", "values differ"),
        ("UPDATE measured SET note = NULL WHERE id = 7", "values differ"),
        ("DELETE FROM measured WHERE id = 7", "499 rows of 500"),
        ("INSERT INTO measured SELECT 501, id FROM measured WHERE id = 7", "501 rows of 500"),
        (
            "UPDATE measured a SET name = b.name FROM measured b WHERE a.id = 7 AND b.id = 8",
            "values differ",
        ),
        (
            "UPDATE measured SET the_geom = ST_Translate(the_geom, 0, 0.00001) WHERE id = 7",
            "values differ",
        ),
        ("UPDATE measured SET the_geom_webmercator = NULL WHERE id = 7", "1 with a wrong geometry"),
        ("DROP INDEX measured_the_geom_idx", "an index is missing"),
        ("ALTER TABLE measured DROP CONSTRAINT measured_pkey", "an index is missing"),
    ],
)
def test_one_wrong_cell_row_or_index_is_found(
    measured: Connection, expected: Digest, statement: str, reason: str
) -> None:
    measured.execute("SET LOCAL search_path = public")
    measured.execute(statement)
    with pytest.raises(UnequalTableError, match=reason):
        check(measured, TABLE, expected)
