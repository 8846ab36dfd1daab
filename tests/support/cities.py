"""The file of the fault tests in two versions, and the run that an accident will happen to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from tests.support.file_server import FileServer
    from tests.support.workers import Desk

PATH = "/cities.csv"
OLD = b"name,size\n" + b"".join(b"city %d,%d\n" % (i, i) for i in range(100))
NEW = b"name,size,mayor\n" + b"".join(b"city %d,%d,Anne\n" % (i, i + i % 3) for i in range(5, 110))


async def begin_run(
    desk: Desk, file_server: FileServer, *, old: bytes | None, new: bytes = NEW
) -> tuple[UUID, UUID]:
    """The sync and the run that brings ``new``: a refresh of ``old``, or without one the first."""
    if old is None:
        sync, run_id = await desk.add_only(file_server.put(PATH, new, etag='"2"'))
        return sync.id, run_id
    sync, _ = await desk.add(file_server.put(PATH, old, etag='"1"'))
    file_server.put(PATH, new, etag='"2"')
    return sync.id, await force(desk, sync.id)


async def force(desk: Desk, sync_id: UUID) -> UUID:
    """Ask for a run, whoever carries it out. Returns its id."""
    await desk.force_only(sync_id)
    ((run_id,),) = await desk.rows("SELECT id FROM runs WHERE finished_at IS NULL")
    return UUID(str(run_id))
