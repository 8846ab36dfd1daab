"""Syncs and runs as rows. What reads or writes them stands here, their end in `outcomes`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from synctables.datasources.base import SourceVersion
from synctables.datasources.source import Source
from synctables.importer.model import Column, ColumnType
from synctables.syncs.model import (
    Accept,
    OnEmpty,
    Run,
    RunState,
    SchemaPolicy,
    Sync,
    SyncOptions,
    SyncState,
)

Connection = AsyncConnection[DictRow]


_CONTRACT: TypeAdapter[tuple[Column, ...]] = TypeAdapter(tuple[Column, ...])
_OPTIONS: TypeAdapter[SyncOptions] = TypeAdapter(SyncOptions)

# The name that clients see follows the table when somebody renames it. An edit by hand shows at
# once, not only when the next refresh has kept it with the sync.
_SELECT_SYNC = """
SELECT syncs.*, coalesce(class.relname, syncs.name) AS current_name,
       greatest(syncs.modified_at,
                (SELECT max(at) FROM edits WHERE edits.relation_oid = tables.relation_oid))
           AS edited_at
FROM syncs
LEFT JOIN tables ON tables.id = syncs.table_id
LEFT JOIN pg_class AS class ON class.oid = tables.relation_oid
"""

_INSERT_SYNC = """
INSERT INTO syncs (
    id, account_id, url, service_name, service_item_id, interval_seconds, state, created_at,
    updated_at, run_at, spread_seconds, ran_at, log_id, type_guessing, quoted_fields_guessing,
    content_guessing, table_name, layer, key_columns, column_types, schema_policy, max_row_loss,
    on_empty)
VALUES (
    %(id)s, %(account_id)s, %(url)s, %(service_name)s, coalesce(%(service_item_id)s, %(url)s),
    %(interval_seconds)s, 'created', %(now)s, %(now)s, %(run_at)s, %(spread_seconds)s, %(now)s,
    %(log_id)s, %(type_guessing)s,
    %(quoted_fields_guessing)s, %(content_guessing)s, %(table_name)s, %(layer)s, %(key_columns)s,
    %(column_types)s, %(schema_policy)s, %(max_row_loss)s, %(on_empty)s)
"""

_UPDATE_OPTIONS = """
UPDATE syncs SET
    interval_seconds = %(interval_seconds)s, run_at = %(run_at)s,
    spread_seconds = %(spread_seconds)s, type_guessing = %(type_guessing)s,
    quoted_fields_guessing = %(quoted_fields_guessing)s, content_guessing = %(content_guessing)s,
    table_name = %(table_name)s, layer = %(layer)s, key_columns = %(key_columns)s,
    column_types = %(column_types)s, schema_policy = %(schema_policy)s,
    max_row_loss = %(max_row_loss)s, on_empty = %(on_empty)s
WHERE id = %(id)s
"""

_SELECT_RUN = "SELECT * FROM runs WHERE id = %s"

_INSERT_RUN = """
INSERT INTO runs (id, account_id, sync_id, log_id, state, url, service_name, service_item_id,
                  file_name, options, accept, is_forced, waits)
VALUES (%(id)s, %(account_id)s, %(sync_id)s, %(log_id)s, 'pending', %(url)s, %(service_name)s,
        %(service_item_id)s, %(file_name)s, %(options)s, %(accept)s, %(is_forced)s, %(waits)s)
"""


async def insert_sync(
    connection: Connection,
    *,
    sync_id: UUID,
    account_id: UUID,
    source: Source,
    options: SyncOptions,
    log_id: UUID,
    now: datetime,
    run_at: datetime,
    spread_seconds: float,
) -> None:
    await connection.execute(
        _INSERT_SYNC,
        {
            "id": sync_id,
            "account_id": account_id,
            **asdict(source),
            "log_id": log_id,
            "now": now,
            "run_at": run_at,
            "spread_seconds": spread_seconds,
            **_option_values(options),
        },
    )


async def read_clock(connection: Connection) -> datetime:
    """What time it is for everybody who works with this database: their own clocks differ."""
    cursor = await connection.execute("SELECT clock_timestamp() AS now")
    [row] = await cursor.fetchall()
    now: datetime = row["now"]
    return now


async def list_syncs(connection: Connection, account_id: UUID) -> list[Sync]:
    """The account's syncs, oldest first."""
    cursor = await connection.execute(
        _SELECT_SYNC + "WHERE syncs.account_id = %s ORDER BY syncs.created_at, syncs.id",
        [account_id],
    )
    return [_sync(row) for row in await cursor.fetchall()]


async def get_sync(
    connection: Connection, sync_id: UUID, *, for_update: bool = False
) -> Sync | None:
    lock = " FOR UPDATE OF syncs" if for_update else ""
    cursor = await connection.execute(_SELECT_SYNC + "WHERE syncs.id = %s" + lock, [sync_id])
    row = await cursor.fetchone()
    return _sync(row) if row else None


async def get_syncs(connection: Connection, sync_ids: Sequence[UUID]) -> list[Sync]:
    """Those of the syncs that still are there, longest overdue first."""
    cursor = await connection.execute(
        _SELECT_SYNC + "WHERE syncs.id = ANY(%s) ORDER BY syncs.run_at, syncs.id", [list(sync_ids)]
    )
    return [_sync(row) for row in await cursor.fetchall()]


async def update_options(
    connection: Connection,
    sync_id: UUID,
    options: SyncOptions,
    *,
    run_at: datetime,
    spread_seconds: float,
) -> None:
    await connection.execute(
        _UPDATE_OPTIONS,
        {
            "id": sync_id,
            "run_at": run_at,
            "spread_seconds": spread_seconds,
            **_option_values(options),
        },
    )


async def read_anew(connection: Connection, sync_id: UUID) -> None:
    """Let the next run read the source even if it has not changed."""
    await connection.execute("UPDATE syncs SET reads_anew = true WHERE id = %s", [sync_id])


async def delete_sync(connection: Connection, sync_id: UUID) -> None:
    await connection.execute("DELETE FROM syncs WHERE id = %s", [sync_id])


async def mark_queued(connection: Connection, sync_id: UUID) -> None:
    await connection.execute(
        "UPDATE syncs SET state = 'queued', error_code = NULL, error_message = NULL,"
        " claim_id = NULL, put_off_until = NULL WHERE id = %s",
        [sync_id],
    )


async def mark_syncing(connection: Connection, sync_id: UUID) -> None:
    await connection.execute("UPDATE syncs SET state = 'syncing' WHERE id = %s", [sync_id])


async def hold_sync(connection: Connection, run: Run) -> None:
    """Lock the run's sync. Who locks both locks it first: so does whoever removes it."""
    await connection.execute("SELECT FROM syncs WHERE id = %s FOR UPDATE", [run.sync_id])


async def hand_back(connection: Connection, run: Run, *, token: UUID) -> None:
    """Undo the beginning of a run that a shutdown interrupted, unless another worker has it."""
    await hold_sync(connection, run)
    cursor = await connection.execute(
        "UPDATE runs SET state = 'pending', progress = '{}', attempt_count = attempt_count - 1"
        " WHERE id = %(id)s AND finished_at IS NULL"
        " AND EXISTS (SELECT FROM fences WHERE run_id = %(id)s AND token = %(token)s)",
        {"id": run.id, "token": token},
    )
    if cursor.rowcount == 0:
        return
    await connection.execute(
        "UPDATE syncs SET state = 'queued' WHERE id = %s AND state = 'syncing'", [run.sync_id]
    )


async def insert_run(
    connection: Connection,
    *,
    run_id: UUID,
    account_id: UUID,
    sync_id: UUID | None,
    log_id: UUID,
    source: Source,
    file_name: str | None,
    options: SyncOptions,
    accept: Iterable[Accept] = (),
    is_forced: bool = False,
    waits: bool = False,
) -> None:
    """``waits``: it gets its job when it is its account's turn (`turns`)."""
    await connection.execute(
        _INSERT_RUN,
        {
            "id": run_id,
            "account_id": account_id,
            "sync_id": sync_id,
            "log_id": log_id,
            **asdict(source),
            "file_name": file_name,
            "options": Jsonb(_OPTIONS.dump_python(options, mode="json")),
            "accept": [word.value for word in accept],
            "is_forced": is_forced,
            "waits": waits,
        },
    )


async def get_run(connection: Connection, run_id: UUID, *, for_update: bool = False) -> Run | None:
    lock = " FOR UPDATE" if for_update else ""
    cursor = await connection.execute(_SELECT_RUN + lock, [run_id])
    row = await cursor.fetchone()
    return _run(row) if row else None


async def list_unfinished_runs(
    connection: Connection, account_id: UUID, *, since: datetime
) -> list[UUID]:
    """Ids of runs that have not ended and were created after ``since``, newest first."""
    cursor = await connection.execute(
        "SELECT id FROM runs WHERE account_id = %s AND finished_at IS NULL AND created_at > %s"
        " ORDER BY created_at DESC",
        [account_id, since],
    )
    return [row["id"] for row in await cursor.fetchall()]


async def latest_run(connection: Connection, log_id: UUID) -> Run | None:
    """The newest run that writes to this log."""
    cursor = await connection.execute(
        "SELECT * FROM runs WHERE log_id = %s ORDER BY created_at DESC LIMIT 1", [log_id]
    )
    row = await cursor.fetchone()
    return _run(row) if row else None


def _option_values(options: SyncOptions) -> dict[str, Any]:
    return {
        **asdict(options),
        "key_columns": list(options.key_columns),
        "column_types": Jsonb({name: type_.value for name, type_ in options.column_types.items()}),
    }


def contract_value(columns: tuple[Column, ...]) -> Jsonb:
    """A contract as the column ``contract`` stores it."""
    return Jsonb(_CONTRACT.dump_python(columns, mode="json"))


def _sync(row: DictRow) -> Sync:
    options = SyncOptions(
        interval_seconds=row["interval_seconds"],
        table_name=row["table_name"],
        type_guessing=row["type_guessing"],
        quoted_fields_guessing=row["quoted_fields_guessing"],
        content_guessing=row["content_guessing"],
        layer=row["layer"],
        key_columns=tuple(row["key_columns"]),
        column_types={name: ColumnType(type_) for name, type_ in row["column_types"].items()},
        schema_policy=SchemaPolicy(row["schema_policy"]),
        max_row_loss=row["max_row_loss"],
        on_empty=OnEmpty(row["on_empty"]),
    )
    version = SourceVersion(
        etag=row["etag"],
        last_modified=row["last_modified"],
        revision=row["revision"],
        content_sha256=row["content_sha256"],
        modified_at=row["source_modified_at"],
    )
    plain = (
        "id account_id table_id url service_name service_item_id created_at updated_at run_at"
        " ran_at attempted_at retried_times log_id error_code error_message reads_anew claim_id"
        " followed_layer visualization_id from_external_source"
    )
    return Sync(
        **{name: row[name] for name in plain.split()},
        name=row["current_name"],
        modified_at=row["edited_at"],
        state=SyncState(row["state"]),
        options=options,
        version=version,
        contract=_CONTRACT.validate_python(row["contract"]),
    )


def read_source(row: DictRow) -> Source:
    """The source of a run's or a preview's row."""
    return Source(
        url=row["url"], service_name=row["service_name"], service_item_id=row["service_item_id"]
    )


def _run(row: DictRow) -> Run:
    plain = (
        "id account_id sync_id log_id file_name attempt_count created_at started_at"
        " finished_at error_code error_message http_status table_id report progress"
    )
    return Run(
        **{name: row[name] for name in plain.split()},
        state=RunState(row["state"]),
        source=read_source(row),
        options=_OPTIONS.validate_python(row["options"]),
        accept=tuple(Accept(word) for word in row["accept"]),
        is_forced=row["is_forced"],
        table_names=tuple(row["table_names"]),
        left_out_layers=tuple(row["left_out_layers"]),
    )
