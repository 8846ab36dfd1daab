"""``/health``: database, queue, and the workers' heartbeats. For monitors; needs no key."""

from fastapi import APIRouter, Request, Response
from psycopg import AsyncConnection, Error
from psycopg.rows import DictRow

from synctables.api.calls import services_of
from synctables.api.schemas import Health, QueueHealth
from synctables.db.pool import UNAVAILABLE
from synctables.jobs import FRESH_HEARTBEAT_SECONDS

router = APIRouter(tags=["health"])

DATABASE_TIMEOUT_SECONDS = 3.0

# Counting only what is not done stays cheap: finished jobs are most of the table.
_HEALTH = """
SELECT
    count(*) FILTER (WHERE status = 'todo') AS todo,
    count(*) FILTER (WHERE status = 'doing') AS doing,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    (SELECT count(*) FROM procrastinate_workers
      WHERE last_heartbeat > now() - make_interval(secs => %(fresh)s)) AS workers,
    (SELECT round(extract(epoch FROM now() - min(last_heartbeat)), 1)
       FROM procrastinate_workers) AS oldest_heartbeat_seconds
FROM procrastinate_jobs
WHERE status IN ('todo', 'doing', 'failed')
"""


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
        )


async def _read_health(connection: AsyncConnection[DictRow]) -> Health:
    cursor = await connection.execute(_HEALTH, {"fresh": FRESH_HEARTBEAT_SECONDS})
    row = await cursor.fetchone() or {}
    return Health(
        status="ok" if row["workers"] else "degraded",
        database="ok",
        queue=QueueHealth(todo=row["todo"], doing=row["doing"], failed=row["failed"]),
        workers=row["workers"],
        oldest_heartbeat_seconds=row["oldest_heartbeat_seconds"],
    )
