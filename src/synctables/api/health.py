"""``/health``: database, queue, and the workers' heartbeats. For monitors; needs no key."""

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection, Error
from psycopg.rows import DictRow

from synctables.api.calls import services_of
from synctables.api.schemas import Health, Orphans, QueueHealth
from synctables.db.pool import UNAVAILABLE
from synctables.syncs.vital_signs import read_vital_signs

router = APIRouter(tags=["health"])

DATABASE_TIMEOUT_SECONDS = 3.0


@router.get(
    "/health", responses={503: {"model": Health, "description": "The database does not answer."}}
)
async def show_health(request: Request, response: Response) -> Health:
    """200 while the API can answer calls, 503 while its database does not answer."""
    try:
        transaction = services_of(request).transaction(timeout_seconds=DATABASE_TIMEOUT_SECONDS)
        async with transaction as connection:
            return await _read_health(connection)
    except (Error, *UNAVAILABLE):
        response.status_code = 503
        return Health(
            status="unavailable",
            database="unavailable",
            queue=None,
            workers=None,
            oldest_heartbeat_seconds=None,
            oldest_due_seconds=None,
            orphans=None,
        )


async def _read_health(connection: AsyncConnection[DictRow]) -> Health:
    signs = await read_vital_signs(connection)
    return Health(
        status="ok" if signs.workers else "degraded",
        database="ok",
        queue=QueueHealth(
            todo=signs.todo,
            doing=signs.doing,
            failed=signs.failed,
            stalled=signs.stalled,
            waiting=signs.waiting,
        ),
        workers=signs.workers,
        oldest_heartbeat_seconds=signs.oldest_heartbeat_seconds,
        oldest_due_seconds=signs.oldest_due_seconds,
        orphans=Orphans(syncs=signs.idle_syncs, tables=signs.abandoned_tables),
    )
