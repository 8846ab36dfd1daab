"""The columns that every table of ours has: a refresh needs ``cartodb_id`` and both shapes.

The table is its users' as well, who can drop or rename them, give ``cartodb_id`` another type, or
take the primary key away and let two rows have one id. Then nothing is done, and it is said why.
"""

from __future__ import annotations

from psycopg import sql

from synctables.errors import CannotChangeTableError
from synctables.importer.apply.model import Connection
from synctables.importer.model import ID_COLUMN, SYSTEM_COLUMNS

_INTEGERS = ("bigint", "integer", "smallint")
"""Types that users may give the column; what is sent as bigint fits as long as its values do."""

_IS_KEY = """
SELECT EXISTS (
    SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
    WHERE indrelid = %(oid)s::oid AND attname = %(name)s AND attnotnull
      AND indisunique AND indisvalid AND indimmediate
      AND indnkeyatts = 1 AND indpred IS NULL) AS is_key
"""

_TELLS_APART = "SELECT count(*) = count(DISTINCT {id}) AS tells_apart FROM ONLY {table}"


async def check_system_columns(
    connection: Connection, table: sql.Composable, relation_oid: int, types: dict[str, str]
) -> None:
    """Raise `CannotChangeTableError` unless these are there and every row has an id of its own.

    ``types`` are those of the table's columns. The rows are only looked at where no unique index
    vouches for them.
    """
    for name in SYSTEM_COLUMNS:
        if name not in types:
            raise CannotChangeTableError(
                f'Somebody dropped or renamed the column "{name}", which every sync table has.'
            )
    found = types[ID_COLUMN]
    if found not in _INTEGERS:
        raise CannotChangeTableError(
            f'Somebody changed the column "{ID_COLUMN}", by which rows are told apart, to {found}.'
        )
    names = {"oid": relation_oid, "name": ID_COLUMN}
    row = await (await connection.execute(_IS_KEY, names)).fetchone()
    if row is not None and row["is_key"]:
        return
    statement = sql.SQL(_TELLS_APART).format(id=sql.Identifier(ID_COLUMN), table=table)
    row = await (await connection.execute(statement)).fetchone()
    if row is None or not row["tells_apart"]:
        raise CannotChangeTableError(
            f'Rows share a "{ID_COLUMN}" or have none, since its primary key was dropped.'
        )
