"""Uploaded files on their way to a worker: chunks in the database, so that any machine has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from synctables.errors import InvalidRequestError
from synctables.syncs.repository import Connection

CHUNK_BYTES = 4 * 1024 * 1024


async def store_upload(
    connection: Connection, run_id: UUID, content: AsyncIterator[bytes], *, max_bytes: int
) -> int:
    """Store the content under the run; gives its size. Raises `InvalidRequestError` if too big."""
    size = number = 0
    async for chunk in _rechunked(content):
        size += len(chunk)
        if size > max_bytes:
            raise InvalidRequestError(f"The file is larger than {max_bytes:,} bytes (error 6666).")
        await connection.execute(
            "INSERT INTO upload_chunks (run_id, number, content) VALUES (%s, %s, %s)",
            [run_id, number, chunk],
        )
        number += 1
    return size


async def load_upload(connection: Connection, run_id: UUID) -> AsyncIterator[bytes]:
    """The content in chunks, one of them in memory at a time."""
    number = 0
    while True:
        cursor = await connection.execute(
            "SELECT content FROM upload_chunks WHERE run_id = %s AND number = %s",
            [run_id, number],
            binary=True,
        )
        row = await cursor.fetchone()
        if row is None:
            return
        yield bytes(row["content"])
        number += 1


async def delete_upload(connection: Connection, run_id: UUID) -> None:
    await connection.execute("DELETE FROM upload_chunks WHERE run_id = %s", [run_id])


async def _rechunked(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    pending = bytearray()
    async for piece in content:
        pending += piece
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)
