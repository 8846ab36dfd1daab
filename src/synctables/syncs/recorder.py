"""What a run tells while it goes on: its stage, its progress, its log, and its success."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from synctables.accounts.model import Account
from synctables.datasources.base import NotModified
from synctables.errors import FencedError
from synctables.importer.apply import Applied
from synctables.importer.model import Misfit, Stage, TypedLayer
from synctables.importer.pipeline import Imported
from synctables.importer.publish import notify
from synctables.syncs import logs, repository
from synctables.syncs.model import Run, RunState
from synctables.syncs.outcomes import Outcome, OutcomeKind, hold_fence, record_outcome
from synctables.syncs.quotas import check_tables
from synctables.syncs.repository import Connection
from synctables.syncs.run_story import RunStory

PROGRESS_SECONDS = 0.5
"""Progress is written this often at most."""

_RUN_STATES = {
    Stage.FETCH: RunState.UPLOADING,
    Stage.UNPACK: RunState.UNPACKING,
}

log = structlog.get_logger(__name__)


class RunRecorder:
    """The `Recorder` of one run, which writes through the worker's pool."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        account: Account,
        run: Run,
        token: UUID,
        *,
        story: RunStory,
    ) -> None:
        self._pool = pool
        self._story = story
        self._account = account
        self._run = run
        self._token = token
        self._stage: Stage | None = None
        self._figures: dict[str, object] = {}
        self._written_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    async def stage(self, stage: Stage) -> None:
        """A stage begins: say so in the run's record, its log, and to whoever listens.

        Raises `FencedError` where the run belongs to another worker by now; only this worker's own
        log knows of the stage then.
        """
        self._stage = stage
        self._figures = {}
        self._story.began(stage)
        structlog.contextvars.bind_contextvars(stage=stage.value)
        log.info("stage_began")
        if stage is Stage.PUBLISH:
            return  # the run has ended with the transaction of apply
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE runs SET state = %s, progress = %s WHERE id = %s AND finished_at IS NULL",
                [
                    _RUN_STATES.get(stage, RunState.IMPORTING).value,
                    Jsonb({"stage": stage.value}),
                    self._run.id,
                ],
            )
            await logs.append_log(
                connection, self._run.log_id, "began", run_id=self._run.id, stage=stage
            )
            await notify(
                connection,
                {
                    "event": "stage_began",
                    "run_id": self._run.id,
                    "sync_id": self._run.sync_id,
                    "stage": stage.value,
                },
            )
            await self.hold_fence(connection)

    def progress(self, figures: Mapping[str, object]) -> None:
        """Figures of the running stage; written in the background, the latest only."""
        self._figures.update(figures)
        now = time.monotonic()
        if now - self._written_at < PROGRESS_SECONDS or (
            self._writing is not None and not self._writing.done()
        ):
            return
        self._written_at = now
        self._writing = asyncio.get_running_loop().create_task(self._write_progress())

    async def close(self) -> None:
        """Wait for a write of progress that is under way."""
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def imported(self, connection: Connection, imported: Imported) -> None:
        """Record success inside the transaction that applies it."""
        first = imported.applied[0]
        totals = _total_rows(imported)
        await repository.hold_sync(connection, self._run)  # before the account, as who forces a run
        await check_tables(connection, self._account, imported.applied)
        await logs.append_log(
            connection, self._run.log_id, *_details(imported), run_id=self._run.id
        )
        await self._record(
            connection,
            Outcome(
                kind=OutcomeKind.SUCCESS,
                message=_success_message(imported, totals),
                version=imported.fetched.version,
                has_changed_rows=any(applied.rows.changed for applied in imported.applied),
                http_status=imported.fetched.http_status,
                web_link=imported.fetched.web_link,
                table_id=first.table.id,
                table_names=tuple(applied.table.name for applied in imported.applied),
                contract=first.columns,
                layer=_layer_to_remember(imported.typed.layers[0]),
                followed_layer=imported.typed.layers[0].name,
                left_out_layers=imported.left_out,
                report=_report(imported, totals),
            ),
        )

    async def hold_fence(self, connection: Connection) -> None:
        """Keep the run until the transaction ends; raises `FencedError` where it is another's."""
        await hold_fence(connection, self._run.id, token=self._token)

    async def not_modified(self, outcome: NotModified) -> None:
        """Record that the table still equals the source."""
        async with self._pool.connection() as connection:
            await self._record(
                connection,
                Outcome(
                    kind=OutcomeKind.NOT_MODIFIED,
                    message="The source has not changed.",
                    version=outcome.version,
                    http_status=outcome.http_status,
                ),
            )

    async def _record(self, connection: Connection, outcome: Outcome) -> None:
        outcome = replace(outcome, stage_seconds=self._story.stage_seconds())
        await record_outcome(
            connection,
            self._run.id,
            token=self._token,
            now=await repository.read_clock(connection),
            outcome=outcome,
        )
        self._story.ended(outcome)

    async def _write_progress(self) -> None:
        progress: dict[str, Any] = {"stage": self._stage, **self._figures}
        with suppress(FencedError):  # the next stage, or the outcome, raises it where it counts
            async with self._pool.connection() as connection:
                await connection.execute(
                    "UPDATE runs SET progress = %s WHERE id = %s AND finished_at IS NULL",
                    [Jsonb(progress), self._run.id],
                )
                await self.hold_fence(connection)


def _layer_to_remember(layer: TypedLayer) -> str | None:
    """The layer's name where it was one of several.

    An only layer is often named after its file, which may be called otherwise tomorrow.
    """
    return layer.name if any(decision.subject == "layer" for decision in layer.decisions) else None


def _total_rows(imported: Imported) -> dict[str, int]:
    rows = [asdict(applied.rows) for applied in imported.applied]
    return {name: sum(row[name] for row in rows) for name in rows[0]}


def _report(imported: Imported, totals: dict[str, int]) -> dict[str, Any]:
    """What the run's record keeps: figures, versions and decisions."""
    version = imported.fetched.version
    return {
        "bytes": imported.fetched.size_bytes,
        "rows": {"read": sum(layer.row_count for layer in imported.typed.layers), **totals},
        "stage_seconds": {k.value: v for k, v in imported.stage_seconds.items()},
        "version": {
            "etag": version.etag,
            "last_modified": version.last_modified,
            "revision": version.revision,
            "content_sha256": version.content_sha256,
        },
        "layers": [_layer_report(layer) for layer in imported.typed.layers],
        "schema_changes": [
            change for applied in imported.applied for change in applied.schema_changes
        ],
        "tables": [_table_report(applied) for applied in imported.applied],
    }


def _table_report(applied: Applied) -> dict[str, Any]:
    """How one table came to equal the file. ``hand_edits`` is null where they were not counted."""
    return {
        "name": applied.table.name,
        "way": applied.way.value,
        "hand_edits": applied.hand_edit_count,
        "paired_by": None if applied.pairing is None else asdict(applied.pairing),
    }


def _success_message(imported: Imported, totals: dict[str, int]) -> str:
    names = ", ".join(applied.table.name for applied in imported.applied)
    figures = ", ".join(f"{count:,} {name}" for name, count in totals.items() if count)
    seconds = sum(imported.stage_seconds.values())
    return (
        f"{names}: {figures or 'no rows'} ({imported.fetched.size_bytes:,} bytes, {seconds:.1f} s)."
    )


def _layer_report(layer: TypedLayer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "rows": layer.row_count,
        "geometry_types": list(layer.geometry_types),
        "columns": [asdict(column) for column in layer.columns],
        "decisions": [asdict(decision) for decision in layer.decisions],
        "misfits": [asdict(misfit) for misfit in layer.misfits],
    }


def _details(imported: Imported) -> list[str]:
    """The log's plain lines: what was decided, what did not fit, what changed in the columns."""
    seconds = ", ".join(f"{stage} {taken:g} s" for stage, taken in imported.stage_seconds.items())
    lines = [f"Stages: {seconds}."]
    lines += [f"{applied.table.name}: {_how(applied)}" for applied in imported.applied]
    for layer in imported.typed.layers:
        for decision in layer.decisions:
            reason = f" ({decision.reason})" if decision.reason else ""
            lines.append(f"{decision.subject}: {decision.choice}{reason}")
        lines += [f"column {c.name}: {c.type} ({c.reason})" for c in layer.columns if c.reason]
        for misfit in layer.misfits:
            lines.append(_misfit_line(misfit))
    if imported.left_out:
        lines.append("Left out, beyond the tables of one import: " + ", ".join(imported.left_out))
    for applied in imported.applied:
        lines += [f"{applied.table.name}: {change}" for change in applied.schema_changes]
    return lines


def _how(applied: Applied) -> str:
    """The way that was taken, what changed rows were known again by, and what others had done."""
    sentences = [f"Way: {applied.way}."]
    if (pairing := applied.pairing) is not None:
        key = f" ({', '.join(pairing.columns)})" if pairing.columns else ""
        sentences.append(f"Changed rows were paired by {pairing.by.replace('_', ' ')}{key}.")
    if applied.hand_edit_count is None:
        sentences.append("Edits by hand were healed, but not counted: all rows were compared.")
    elif applied.hand_edit_count:
        sentences.append(f"Edits by hand, found and healed: {applied.hand_edit_count:,} rows.")
    return " ".join(sentences)


def _misfit_line(misfit: Misfit) -> str:
    """How many cells of a column, or how many rows where the fault is in their shape."""
    where = f"column {misfit.column}" if misfit.column else "rows"
    examples = "; ".join(f"row {row}: {text}" for row, text in misfit.examples)
    return f"{where}: {misfit.count:,} times: {misfit.reason}. {examples}".rstrip()
