"""The shape of a live table, and the statements that make an empty new table of the same shape.

Columns keep their order; the numbers of dropped columns are not kept. All text is read with an
empty ``search_path``, so that every name in it is qualified and means the same anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from synctables.importer.apply.columns import Statement
from synctables.importer.apply.model import Connection
from synctables.importer.apply.work_tables import WORK_SCHEMA, WorkName
from synctables.importer.model import SYSTEM_COLUMNS, Column

# A default is none of the column's own where it is its domain's.
_COLUMNS = """
SELECT attribute.attname AS name,
       format_type(attribute.atttypid, attribute.atttypmod) AS type,
       CASE WHEN attribute.attcollation <> type.typcollation
            THEN attribute.attcollation::regcollation::text END AS collation,
       attribute.attnotnull AS is_required,
       (SELECT conname FROM pg_constraint
        WHERE conrelid = attribute.attrelid AND contype = 'n'
          AND conkey = ARRAY[attribute.attnum]) AS required_name,
       attribute.attidentity::text AS identity,
       attribute.attgenerated::text AS generated,
       pg_get_expr(definition.adbin, definition.adrelid) AS expression,
       type.typdefault AS domain_default,
       CASE WHEN attribute.attstorage <> type.typstorage
            THEN attribute.attstorage::text END AS storage,
       nullif(attribute.attcompression::text, '') AS compression,
       nullif(attribute.attstattarget, -1)::integer AS statistics_target,
       attribute.attoptions AS options,
       type.typsend <> 0 AND type.typreceive <> 0 AS has_binary_form
FROM pg_attribute AS attribute
JOIN pg_type AS type ON type.oid = attribute.atttypid
LEFT JOIN pg_attrdef AS definition
  ON definition.adrelid = attribute.attrelid AND definition.adnum = attribute.attnum
WHERE attribute.attrelid = %(oid)s::oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
ORDER BY attribute.attnum
"""

# Identity columns own their sequence ('i'); a sequence of a serial column only stands by ('a').
_SEQUENCES = """
SELECT attribute.attname AS column_name, depend.deptype = 'i' AS is_identity,
       sequence.oid::bigint AS oid, sequence.oid::regclass::text AS relation,
       sequence.relname AS name,
       format('START WITH %%s INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s CACHE %%s %%sCYCLE',
              seqstart, seqincrement, seqmin, seqmax, seqcache,
              CASE WHEN seqcycle THEN '' ELSE 'NO ' END) AS options
FROM pg_depend AS depend
JOIN pg_class AS sequence ON sequence.oid = depend.objid AND sequence.relkind = 'S'
JOIN pg_sequence ON seqrelid = sequence.oid
JOIN pg_attribute AS attribute
  ON attribute.attrelid = depend.refobjid AND attribute.attnum = depend.refobjsubid
WHERE depend.classid = 'pg_class'::regclass AND depend.refclassid = 'pg_class'::regclass
  AND depend.refobjid = %(oid)s::oid AND depend.deptype IN ('a', 'i')
ORDER BY attribute.attnum, sequence.oid
"""

_RELATION = """
SELECT class.oid::regclass::text AS relation,
       namespace.nspname AS schema_name, class.relname AS name,
       class.relowner::regrole::text AS owner,
       class.relowner <> current_user::regrole AS is_anothers,
       class.relpersistence = 'u' AS is_unlogged,
       access.amname AS access_method, space.spcname AS tablespace,
       ARRAY(SELECT option FROM unnest(class.reloptions) AS option)
       || ARRAY(SELECT 'toast.' || option FROM unnest(toast.reloptions) AS option) AS options
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_am AS access ON access.oid = class.relam
LEFT JOIN pg_tablespace AS space ON space.oid = class.reltablespace
LEFT JOIN pg_class AS toast ON toast.oid = class.reltoastrelid
WHERE class.oid = %(oid)s::oid
"""

_STORAGES = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSIONS = {"p": "pglz", "l": "lz4"}


@dataclass(frozen=True, kw_only=True)
class Relation:
    """The table as such. ``relation`` and ``owner`` are ready for SQL text."""

    relation: str
    schema_name: str
    name: str
    owner: str
    is_anothers: bool
    is_unlogged: bool
    access_method: str
    tablespace: str | None
    options: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LiveColumn:
    """A column as the live table has it now; the letters are those of ``pg_attribute``."""

    name: str
    type: str
    collation: str | None = None
    is_required: bool = False
    required_name: str | None = None
    """The name of the NOT NULL constraint, where the server gives them names (since 18)."""
    identity: str = ""
    generated: str = ""
    expression: str | None = None
    domain_default: str | None = None
    storage: str | None = None
    compression: str | None = None
    statistics_target: int | None = None
    options: tuple[str, ...] = ()
    has_binary_form: bool = True


@dataclass(frozen=True, kw_only=True)
class OwnedSequence:
    column_name: str
    is_identity: bool
    oid: int
    relation: str
    name: str
    options: str


@dataclass(frozen=True, kw_only=True)
class Shape:
    relation: Relation
    columns: tuple[LiveColumn, ...]
    sequences: tuple[OwnedSequence, ...]

    def own_columns(self, columns: tuple[Column, ...]) -> tuple[LiveColumn, ...]:
        """Columns that users added, whose values must stay with their rows."""
        ours = {*SYSTEM_COLUMNS, *(column.name for column in columns)}
        return tuple(
            column for column in self.columns if column.name not in ours and not column.generated
        )


async def read_shape(connection: Connection, relation_oid: int) -> Shape | None:
    """The table's shape; None when it is gone. Needs an empty ``search_path``."""
    oid = {"oid": relation_oid}
    relation = await (await connection.execute(_RELATION, oid)).fetchone()
    if relation is None:
        return None
    columns = await (await connection.execute(_COLUMNS, oid)).fetchall()
    sequences = await (await connection.execute(_SEQUENCES, oid)).fetchall()
    return Shape(
        relation=Relation(**{**relation, "options": tuple(relation["options"])}),
        columns=tuple(
            LiveColumn(**{**column, "options": tuple(column["options"] or ())})
            for column in columns
        ),
        sequences=tuple(OwnedSequence(**sequence) for sequence in sequences),
    )


def columns_after(shape: Shape, columns: tuple[Column, ...]) -> tuple[LiveColumn, ...]:
    """The live columns in their order with the contract's types, then those that are added."""
    types = {column.name: column.type.value for column in columns}
    kept = [_retyped(column, types.get(column.name, column.type)) for column in shape.columns]
    known = {column.name for column in kept}
    added = [LiveColumn(name=name, type=type_) for name, type_ in types.items()]
    return tuple(kept + [column for column in added if column.name not in known])


def _retyped(column: LiveColumn, type_: str) -> LiveColumn:
    """What hangs on a type, as ALTER COLUMN TYPE would leave it."""
    if column.type == type_:
        return column
    return LiveColumn(
        name=column.name,
        type=type_,
        is_required=column.is_required,
        required_name=column.required_name,
        identity=column.identity,
        generated=column.generated,
        expression=column.expression,
        statistics_target=column.statistics_target,
        options=column.options,
    )


def create_statements(
    shape: Shape, columns: tuple[LiveColumn, ...], work: WorkName
) -> list[Statement]:
    """CREATE TABLE and what must be said of its columns before rows come in."""
    relation = shape.relation
    statement = sql.SQL("CREATE {}TABLE {} ({}) USING {}{}{}").format(
        sql.SQL("UNLOGGED " if relation.is_unlogged else ""),
        work.table,
        sql.SQL(", ").join(
            [column_definition(column, _identity(column, shape, work)) for column in columns]
        ),
        sql.Identifier(relation.access_method),
        _with(relation.options),
        sql.SQL(" TABLESPACE {}").format(sql.Identifier(relation.tablespace))
        if relation.tablespace
        else sql.SQL(""),
    )
    alterations = [action for column in columns for action in _alterations(column)]
    if not alterations:
        return [statement]
    altering = sql.SQL("ALTER TABLE {} {}").format(work.table, sql.SQL(", ").join(alterations))
    return [statement, altering]


def sequence_names(shape: Shape, work: WorkName) -> dict[str, str]:
    """The provisional name of each identity column's sequence, by the name of its column."""
    identities = (sequence for sequence in shape.sequences if sequence.is_identity)
    return {
        sequence.column_name: work.part("sequence", number)
        for number, sequence in enumerate(identities)
    }


def column_definition(column: LiveColumn, identity: sql.Composable | None = None) -> Statement:
    """The column as CREATE TABLE wants it; ``identity`` is the clause of an identity column."""
    parts = [sql.Identifier(column.name), sql.SQL(column.type)]
    if column.collation:
        parts.append(sql.SQL(f"COLLATE {column.collation}"))
    if identity:
        parts.append(identity)
    elif column.generated:
        kind = "STORED" if column.generated == "s" else "VIRTUAL"
        parts.append(sql.SQL(f"GENERATED ALWAYS AS ({column.expression}) {kind}"))
    elif column.expression is not None:
        parts.append(sql.SQL(f"DEFAULT {column.expression}"))
    if column.required_name:
        parts.append(sql.SQL("CONSTRAINT {}").format(sql.Identifier(column.required_name)))
    if column.is_required:
        parts.append(sql.SQL("NOT NULL"))
    return sql.SQL(" ").join(parts)


def _identity(column: LiveColumn, shape: Shape, work: WorkName) -> Statement | None:
    if not column.identity:
        return None
    sequence = next(
        sequence
        for sequence in shape.sequences
        if sequence.is_identity and sequence.column_name == column.name
    )
    return sql.SQL("GENERATED {} AS IDENTITY (SEQUENCE NAME {} {})").format(
        sql.SQL("ALWAYS" if column.identity == "a" else "BY DEFAULT"),
        sql.Identifier(WORK_SCHEMA, sequence_names(shape, work)[column.name]),
        sql.SQL(sequence.options),
    )


def _alterations(column: LiveColumn) -> list[Statement]:
    settings: list[Statement] = []
    if column.storage:
        settings.append(sql.SQL(f"SET STORAGE {_STORAGES[column.storage]}"))
    if column.compression:
        settings.append(sql.SQL(f"SET COMPRESSION {_COMPRESSIONS[column.compression]}"))
    if column.statistics_target is not None:
        settings.append(sql.SQL(f"SET STATISTICS {column.statistics_target}"))
    if column.options:
        settings.append(sql.SQL("SET ({})").format(_options(column.options)))
    return [
        sql.SQL("ALTER COLUMN {} {}").format(sql.Identifier(column.name), setting)
        for setting in settings
    ]


def _with(options: tuple[str, ...]) -> Statement:
    return sql.SQL(" WITH ({})").format(_options(options)) if options else sql.SQL("")


def _options(options: tuple[str, ...]) -> Statement:
    """``name=value`` as the catalog keeps it, for a list of options in a statement."""
    pairs = [option.split("=", 1) for option in options]
    return sql.SQL(", ").join(
        [sql.SQL("{} = {}").format(sql.SQL(name), sql.Literal(value)) for name, value in pairs]
    )
