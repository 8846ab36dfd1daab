"""What a run remembers of the table that it left behind, and what the table is like now."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census
from synctables.importer.apply.model import Connection

_SHAPE = """
SELECT pg_relation_filenode(%(oid)s::oid)::bigint AS filenode,
       jsonb_object_agg(attname, jsonb_build_object(
           'number', attnum, 'type', atttypid::bigint, 'modifier', atttypmod)) AS columns
FROM pg_attribute WHERE attrelid = %(oid)s::oid AND attnum > 0 AND NOT attisdropped
"""

_READ = """
SELECT relation_oid::bigint, filenode::bigint, columns, signature_tag, row_count, census_xids,
       census_rows, file_columns, key_column, unique_columns
FROM table_states WHERE table_id = %s FOR UPDATE
"""

_WRITE = """
INSERT INTO table_states (table_id, relation_oid, filenode, columns, signature_tag, row_count,
                          census_xids, census_rows, file_columns, key_column,
                          unique_columns)
VALUES (%(table_id)s, %(relation_oid)s, %(filenode)s, %(columns)s, %(signature_tag)s,
        %(row_count)s, %(census_xids)s, %(census_rows)s, %(file_columns)s, %(key_column)s,
        %(unique_columns)s)
ON CONFLICT (table_id) DO UPDATE SET
    relation_oid = excluded.relation_oid, filenode = excluded.filenode, columns = excluded.columns,
    signature_tag = excluded.signature_tag, row_count = excluded.row_count,
    census_xids = excluded.census_xids, census_rows = excluded.census_rows,
    file_columns = excluded.file_columns, key_column = excluded.key_column,
    unique_columns = excluded.unique_columns
"""


@dataclass(frozen=True, kw_only=True)
class ColumnShape:
    """A column as PostgreSQL numbers and types it."""

    number: int
    type: int
    modifier: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A relation as it is stored: its file, and its columns by name."""

    filenode: int
    columns: dict[str, ColumnShape]


@dataclass(frozen=True, kw_only=True)
class TableState:
    """The table as a run left it. ``shape`` has the columns that are ours, and no other."""

    relation_oid: int
    shape: Shape
    signature_tag: str
    row_count: int
    census: Census
    file_columns: tuple[str, ...]
    """Of ours, the columns that the last version of the file had."""
    key_column: str | None
    unique_columns: tuple[str, ...]

    def still_describes(self, relation_oid: int, now: Shape) -> bool:
        """Whether rows and our columns are still those that the signatures were made of."""
        return (
            self.relation_oid == relation_oid
            and self.shape.filenode == now.filenode
            and all(now.columns.get(name) == column for name, column in self.shape.columns.items())
        )


async def read_shape(connection: Connection, relation_oid: int) -> Shape:
    """The relation as it is now."""
    cursor = await connection.execute(_SHAPE, {"oid": relation_oid})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - an aggregate has exactly one row
    return Shape(filenode=row["filenode"], columns=_columns(row["columns"] or {}))


async def read_state(connection: Connection, table_id: UUID) -> TableState | None:
    """What was remembered; nobody else changes it until this transaction ends."""
    row = await (await connection.execute(_READ, [table_id])).fetchone()
    if row is None:
        return None
    return TableState(
        relation_oid=row["relation_oid"],
        shape=Shape(filenode=row["filenode"], columns=_columns(row["columns"])),
        signature_tag=row["signature_tag"],
        row_count=row["row_count"],
        census=dict(zip(row["census_xids"], row["census_rows"], strict=True)),
        file_columns=tuple(row["file_columns"]),
        key_column=row["key_column"],
        unique_columns=tuple(row["unique_columns"]),
    )


async def write_state(connection: Connection, table_id: UUID, state: TableState) -> None:
    """Remember this from now on."""
    await connection.execute(
        _WRITE,
        {
            "table_id": table_id,
            "relation_oid": state.relation_oid,
            "filenode": state.shape.filenode,
            "columns": Jsonb({name: asdict(c) for name, c in state.shape.columns.items()}),
            "signature_tag": state.signature_tag,
            "row_count": state.row_count,
            "census_xids": list(state.census),
            "census_rows": list(state.census.values()),
            "file_columns": list(state.file_columns),
            "key_column": state.key_column,
            "unique_columns": list(state.unique_columns),
        },
    )


def _columns(stored: dict[str, dict[str, int]]) -> dict[str, ColumnShape]:
    return {name: ColumnShape(**values) for name, values in stored.items()}


async def remember_columns(connection: Connection, table: Table, names: list[str]) -> None:
    """Remember that these columns of the table are ours too.

    One that was ours before, and that somebody dropped, stays remembered as it was: its values are
    gone, so signatures that have them do not describe the table any more.
    """
    shape = await read_shape(connection, table.relation_oid)
    added = {name: asdict(shape.columns[name]) for name in names}
    await connection.execute(
        "UPDATE table_states SET columns = %s || columns WHERE table_id = %s",
        [Jsonb(added), table.id],
    )
