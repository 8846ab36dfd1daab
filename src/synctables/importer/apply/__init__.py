"""The apply stage: create a table, or make an existing one equal to the layer.

Whichever way, everything happens in the caller's transaction: what readers see changes at COMMIT.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
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
from synctables.importer.apply.create import create
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
    ((pg.AdminShutdown, pg.CrashShutdown, pg.CannotConnectNow), DatabaseUnavailableError),
    ((pg.QueryCanceled,), ReadTimeoutError),
    ((psycopg.OperationalError, psycopg.InterfaceError), DatabaseUnavailableError),
)


async def apply(
    connection: Connection, layer: TypedLayer, target: Target, *, on_rows: OnRows
) -> Applied:
    """Bring the layer into its table, inside the caller's transaction.

    Raises a `RunError` where the database refuses; then the transaction must be rolled back, and
    the table is as it was.
    """
    with coded_database_errors():
        if target.live is None:
            return await create(connection, layer, target, on_rows=on_rows)
        return await compare(connection, layer, target, target.live, on_rows=on_rows)


@contextmanager
def coded_database_errors() -> Iterator[None]:
    """PostgreSQL's errors as errors of ours, with its own words for what is in the way."""
    try:
        yield
    except psycopg.Error as error:
        for classes, coded in _CLASSES:
            if isinstance(error, classes):
                raise coded(_in_words(error)) from error
        raise


def _in_words(error: psycopg.Error) -> str:
    parts = (error.diag.message_primary or str(error).strip(), error.diag.message_detail)
    return " ".join(part.rstrip(".") + "." for part in parts if part)
