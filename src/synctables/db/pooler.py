"""Telling whether something between us and PostgreSQL hands our session out to others.

A pooler in transaction mode gives each transaction another server session. Locks that a run holds
between its transactions, notifications and settings are then lost (refresh.md 16).
"""

from __future__ import annotations

import psycopg

_PID = "SELECT pg_backend_pid()"


def has_transaction_pooler(database_url: str) -> bool:
    """Whether one client's session changes while another client is in a transaction.

    Raises `psycopg.Error` when the database does not answer.
    """
    with (
        psycopg.connect(database_url, autocommit=True, connect_timeout=5) as one,
        psycopg.connect(database_url, connect_timeout=5) as other,
    ):
        before = _server_pid(one)
        held = _server_pid(other)  # in a transaction, so its session is its own until the end
        return is_shared(before=before, held_by_another=held, after=_server_pid(one))


def is_shared(*, before: int, held_by_another: int, after: int) -> bool:
    """A session of ours that another client got, or that is another one by now."""
    return held_by_another == before or after != before


def _server_pid(connection: psycopg.Connection) -> int:
    row = connection.execute(_PID).fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    return int(row[0])
