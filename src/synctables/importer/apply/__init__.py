"""The apply stage: create a table, or make an existing one equal to the layer.

Whichever way, everything happens in the caller's transaction: what readers see changes at COMMIT.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import structlog
from psycopg import errors as pg

from synctables.errors import (
    CannotChangeTableError,
    DatabaseUnavailableError,
    DiskFullError,
    LoadError,
    LockedTableError,
    ReadTimeoutError,
    RunError,
    TooManyColumnsError,
)
from synctables.importer.apply.compare import compare
from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.create import create_here
from synctables.importer.apply.edits import clear_edits
from synctables.importer.apply.model import Applied, Connection, Target
from synctables.importer.model import TypedLayer

__all__ = ["Applied", "Target", "apply", "coded_database_errors"]

_CLASSES: tuple[tuple[tuple[type[psycopg.Error], ...], type[RunError]], ...] = (
    ((pg.TooManyColumns,), TooManyColumnsError),
    ((pg.ProgramLimitExceeded, pg.DataError), LoadError),
    ((pg.DiskFull, pg.OutOfMemory), DiskFullError),
    ((pg.LockNotAvailable, pg.DeadlockDetected, pg.SerializationFailure), LockedTableError),
    (
        (
            pg.IntegrityError,
            pg.FeatureNotSupported,
            pg.DependentObjectsStillExist,
            pg.InsufficientPrivilege,
            pg.RaiseException,
            pg.TriggeredDataChangeViolation,
            pg.UndefinedTable,
            pg.UndefinedColumn,
            pg.InvalidSchemaName,
        ),
        CannotChangeTableError,
    ),
    ((pg.QueryCanceled,), ReadTimeoutError),
)
_SERVER_TROUBLE = ("08", "25P0", "53", "57", "58")
"""The SQLSTATEs by which a server says that it, and not the statement, has trouble: connection,
timeouts of a session, resources, the operator, the system."""

log = structlog.get_logger(__name__)


async def apply(
    connection: Connection, layer: TypedLayer, target: Target, *, on_rows: OnRows
) -> Applied:
    """Bring the layer into its table, inside the caller's transaction.

    Raises a `RunError` where the database refuses; then the transaction must be rolled back, and
    the table is as it was.
    """
    if target.live is None:
        # The table is ours alone: what PostgreSQL itself stumbles over came out of the file.
        with coded_database_errors(), _otherwise(LoadError, (pg.InternalError_,)):
            return await create_here(connection, layer, target, on_rows=on_rows)
    # The table is the user's too: the rest is what they did to it, above all their triggers,
    # which can raise anything.
    with coded_database_errors(), _otherwise(CannotChangeTableError, (psycopg.Error,)):
        applied = await compare(connection, layer, target, target.live, on_rows=on_rows)
        await clear_edits(connection, applied.table.relation_oid)
        return applied


@contextmanager
def coded_database_errors() -> Iterator[None]:
    """PostgreSQL's errors as errors of ours, with its own words for what is in the way."""
    try:
        yield
    except psycopg.Error as error:
        if coded := _code(error):
            raise coded(_in_words(error)) from error
        raise


@contextmanager
def _otherwise(coded: type[RunError], classes: tuple[type[psycopg.Error], ...]) -> Iterator[None]:
    """For errors that the server sent and that have no code of their own."""
    try:
        yield
    except classes as error:
        if error.sqlstate is None or _code(error):
            raise
        log.warning("table_not_changed", sqlstate=error.sqlstate, reason=_in_words(error))
        raise coded(_in_words(error)) from error


def _code(error: psycopg.Error) -> type[RunError] | None:
    for classes, coded in _CLASSES:
        if isinstance(error, classes):
            return coded
    is_from_server = error.sqlstate is not None and not error.sqlstate.startswith(_SERVER_TROUBLE)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not is_from_server:
        return DatabaseUnavailableError
    return None


def _in_words(error: psycopg.Error) -> str:
    parts = (error.diag.message_primary or str(error).strip(), error.diag.message_detail)
    return " ".join(part.rstrip(".") + "." for part in parts if part)
