"""What hinders a rewrite, as an exception that stays inside apply: the caller takes another way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors

SERVER_TROUBLE = ("08", "25P0", "53", "57", "58")
"""The SQLSTATEs by which a server says that it, and not the statement, has trouble: connection,
timeouts of a session, resources, the operator, the system."""
_TROUBLE_ANY_WAY = (*SERVER_TROUBLE, "XX")
"""What another way of applying would meet too: also what PostgreSQL itself stumbles over."""
_PASSING = (
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
)
"""Of locks, and of names that were changed or dropped since the plan was read."""


class HinderedError(Exception):
    """The table cannot be rewritten now; it is as it was. ``reasons`` are sentences for people.

    ``is_passing``: others were at the table meanwhile, and another try may find it quiet.
    """

    def __init__(self, reasons: Sequence[str], *, is_passing: bool = False) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = tuple(reasons)
        self.is_passing = is_passing


@contextmanager
def hindered_by_database() -> Iterator[None]:
    """What PostgreSQL refuses while something is carried over hinders the rewrite.

    A delta may still do it; if not, it meets the same refusal, and knows the error's code.
    """
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None or error.sqlstate.startswith(_TROUBLE_ANY_WAY):
            raise
        is_passing = isinstance(error, _PASSING)
        raise HinderedError([in_words(error)], is_passing=is_passing) from error


def in_words(error: psycopg.Error) -> str:
    """What PostgreSQL says is wrong, and its details, as sentences."""
    parts = (error.diag.message_primary or str(error).strip(), error.diag.message_detail)
    return " ".join(part.rstrip(".") + "." for part in parts if part)
