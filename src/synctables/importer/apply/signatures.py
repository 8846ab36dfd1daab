"""Kept signatures: the hash and the ``cartodb_id`` of every row that the last run left behind.

They are what a refresh compares with instead of reading the table (refresh.md 8). The base holds
them in file order, in chunks of one bytea each; what later runs changed follows in a journal, so
that a small change writes little. A journal above a fifth of the base is folded into a new base.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import KEPT, PLACE_STEP, Numbers

SIGNATURE = np.dtype([("low", "<u8"), ("high", "<u8"), ("id", "<i8")])
"""An entry of the base; its place follows from where it stands."""
ENTRY = np.dtype([*SIGNATURE.descr, ("place", "<i8")])
"""An entry of the journal. The place `GONE` takes the id out."""
GONE = -(1 << 62)

CHUNK_ROWS = 65_536
_CHUNKS_AT_ONCE = 8
"""Read in one round trip: 12 MB."""
LARGEST_JOURNAL = 0.2
"""Entries of the journal, as a share of the base's rows."""
_SMALL_JOURNAL_ROWS = 1_000
"""So many entries may be there in any case."""


async def write_base(
    connection: Connection, table_id: UUID, signatures: Iterator[NDArray[Any]]
) -> None:
    """Keep these signatures, blocks laid out as `SIGNATURE` in file order, and nothing else."""
    for kept in ("signature_chunks", "signature_journal"):
        await connection.execute(f"DELETE FROM {kept} WHERE table_id = %s", [table_id])  # noqa: S608
    async with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY signature_chunks (table_id, number, content) FROM STDIN (FORMAT binary)"
        ) as copy,
    ):
        copy.set_types(["uuid", "int4", "bytea"])
        number = 0
        while (block := await asyncio.to_thread(next, signatures, None)) is not None:
            for start in range(0, len(block), CHUNK_ROWS):
                await copy.write_row(
                    (table_id, number, block[start : start + CHUNK_ROWS].tobytes())
                )
                number += 1


async def append(connection: Connection, table_id: UUID, entries: NDArray[Any]) -> None:
    """Add entries, laid out as `ENTRY`; they hold from now on for their ids."""
    await connection.execute(
        """
        INSERT INTO signature_journal (table_id, number, content)
        SELECT %(table_id)s, coalesce(max(number) + 1, 0), %(content)s
        FROM signature_journal WHERE table_id = %(table_id)s
        """,
        {"table_id": table_id, "content": entries.tobytes()},
    )


async def is_journal_full(connection: Connection, table_id: UUID, *, more_rows: int) -> bool:
    """Whether so many more entries make the journal longer than it may be."""
    cursor = await connection.execute(
        """
        SELECT coalesce((SELECT sum(octet_length(content)) FROM signature_chunks
                         WHERE table_id = %(table_id)s), 0) / %(signature_bytes)s AS base,
               coalesce((SELECT sum(octet_length(content)) FROM signature_journal
                         WHERE table_id = %(table_id)s), 0) / %(entry_bytes)s AS journal
        """,
        {
            "table_id": table_id,
            "signature_bytes": SIGNATURE.itemsize,
            "entry_bytes": ENTRY.itemsize,
        },
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the statement has exactly one row
    allowed = max(_SMALL_JOURNAL_ROWS, LARGEST_JOURNAL * row["base"])
    return bool(row["journal"] + more_rows > allowed)


async def read_base(connection: Connection, table_id: UUID) -> AsyncIterator[NDArray[Any]]:
    """The base chunk by chunk, laid out as `KEPT`."""
    async with connection.cursor(binary=True, name="base") as cursor:
        cursor.itersize = _CHUNKS_AT_ONCE
        await cursor.execute(
            "SELECT content FROM signature_chunks WHERE table_id = %s ORDER BY number", [table_id]
        )
        start = 0
        async for row in cursor:
            chunk = np.frombuffer(row["content"], SIGNATURE)
            yield _placed(chunk, start)
            start += len(chunk)


async def read_journal(connection: Connection, table_id: UUID) -> tuple[NDArray[Any], Numbers]:
    """What the journal says last of each id: rows laid out as `KEPT`, and ids that are gone."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(
        "SELECT content FROM signature_journal WHERE table_id = %s ORDER BY number", [table_id]
    )
    content = b"".join([row["content"] for row in await cursor.fetchall()])
    latest_first = np.frombuffer(content, ENTRY)[::-1]
    _, first = np.unique(latest_first["id"], return_index=True)
    latest = latest_first[first]
    is_gone = latest["place"] == GONE
    return latest[~is_gone].astype(KEPT), latest["id"][is_gone]


def gone_entries(ids: Numbers) -> NDArray[Any]:
    """Entries that take these ids out."""
    entries = np.zeros(len(ids), ENTRY)
    entries["id"], entries["place"] = ids, GONE
    return entries


def _placed(chunk: NDArray[Any], start: int) -> NDArray[Any]:
    placed = np.empty(len(chunk), KEPT)
    for name in SIGNATURE.names or ():
        placed[name] = chunk[name]
    placed["place"] = (start + np.arange(len(chunk))) * PLACE_STEP
    return placed
