"""The apply stage: create a table, or make an existing one equal to the layer.

Whichever way, what readers see changes in one transaction, with the record of the run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import structlog
from psycopg import errors as pg
from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table
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
from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.first_import import first_import
from synctables.importer.apply.hindered import SERVER_TROUBLE, in_words
from synctables.importer.apply.model import Applied, Connection, Target
from synctables.importer.apply.obstacles import named_obstacles
from synctables.importer.apply.refresh import refresh
from synctables.importer.apply.work import HoldFence, Record, Work
from synctables.importer.model import TypedLayer

__all__ = [
    "Applied",
    "HoldFence",
    "Record",
    "Target",
    "apply",
    "coded_database_errors",
    "coded_table_errors",
]

_CLASSES: tuple[tuple[tuple[type[psycopg.Error], ...], type[RunError]], ...] = (
    ((pg.TooManyColumns,), TooManyColumnsError),
    ((pg.SequenceGeneratorLimitExceeded,), CannotChangeTableError),
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
_TOO_WIDE = re.compile(r"\brow is too big\b")
"""A row has to fit into one page; that the limit of columns is not reached does not help it."""

log = structlog.get_logger(__name__)


async def apply(
    pool: AsyncConnectionPool[Connection],
    layers: Sequence[tuple[TypedLayer, Target]],
    *,
    scratch: Path,
    on_rows: OnRows,
    record: Record,
    hold_fence: HoldFence,
) -> tuple[Applied, ...]:
    """Bring each layer into its table; all becomes visible with what ``record`` writes, or nothing.

    Only new columns of a table that is there come before, empty, in a transaction that
    ``hold_fence`` lets pass.

    Several layers make several new tables; a table that is there is refreshed from one layer.
    ``scratch`` is a folder that only this process can write to. Raises a `RunError` where the
    database refuses; every table is then as it was.
    """
    (layer, target), *others = layers
    if target.live is None:
        # The tables are ours alone: what PostgreSQL itself stumbles over came out of the file.
        with coded_database_errors(), _otherwise(LoadError, (pg.InternalError_,)):
            return await first_import(pool, layers, scratch=scratch, on_rows=on_rows, record=record)
    assert not others  # noqa: S101 - a sync follows one layer
    work = Work(
        pool=pool,
        layer=layer,
        target=target,
        live=target.live,
        scratch=scratch,
        on_rows=on_rows,
        record=record,
        hold_fence=hold_fence,
    )
    async with coded_table_errors(pool, target.live):
        return (await refresh(work),)


@asynccontextmanager
async def coded_table_errors(
    pool: AsyncConnectionPool[Connection], live: Table | None
) -> AsyncIterator[None]:
    """`coded_database_errors` for work on a table that is there.

    It is the user's too: what has no code is what they did to it, above all their triggers, which
    can raise anything.
    """
    with coded_database_errors(), _otherwise(CannotChangeTableError, (psycopg.Error,)):
        try:
            async with named_obstacles(pool, live):
                yield
        except (pg.DataError, pg.ProgramLimitExceeded) as error:
            if _is_of_rows(error):
                raise
            raise CannotChangeTableError(in_words(error)) from error


@contextmanager
def coded_database_errors() -> Iterator[None]:
    """PostgreSQL's errors as errors of ours, with its own words for what is in the way."""
    try:
        yield
    except psycopg.Error as error:
        if coded := _code(error):
            raise coded(in_words(error)) from error
        raise


@contextmanager
def _otherwise(coded: type[RunError], classes: tuple[type[psycopg.Error], ...]) -> Iterator[None]:
    """For errors that the server sent and that have no code of their own."""
    try:
        yield
    except classes as error:
        if error.sqlstate is None or _code(error):
            raise
        log.warning("table_not_changed", sqlstate=error.sqlstate, reason=in_words(error))
        raise coded(in_words(error)) from error


def _is_of_rows(error: psycopg.Error) -> bool:
    """Whether it is the rows that PostgreSQL refuses, as they are sent or as too wide for a page.

    Else an index, a constraint or a trigger of a user's cannot do with them: ``100 / size`` with 0.
    """
    is_of_copy = (error.diag.context or "").startswith("COPY ")
    return is_of_copy or _TOO_WIDE.search(str(error)) is not None


def _code(error: psycopg.Error) -> type[RunError] | None:
    if isinstance(error, pg.ProgramLimitExceeded) and _TOO_WIDE.search(str(error)):
        return TooManyColumnsError
    for classes, coded in _CLASSES:
        if isinstance(error, classes):
            return coded
    is_from_server = error.sqlstate is not None and not error.sqlstate.startswith(SERVER_TROUBLE)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not is_from_server:
        return DatabaseUnavailableError
    return None
