"""The story of one run: fetch, unpack, read, infer, gate, apply, publish."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table
from synctables.datasources.base import Fetched, NotModified, OnBytes
from synctables.errors import RunError
from synctables.importer.apply import Applied, Target, apply
from synctables.importer.apply.model import Connection, Way
from synctables.importer.gate import GatePolicy, exceeded, gate
from synctables.importer.model import (
    Allowance,
    Column,
    Layers,
    Limits,
    LiveColumns,
    ReadOptions,
    Stage,
    Typed,
)
from synctables.importer.publish import publish
from synctables.importer.sandbox import Sandbox, SandboxLimits, Spare
from synctables.importer.table_names import table_base_name
from synctables.importer.table_sizes import estimate_table_bytes
from synctables.importer.workspace import scratch_beside

Fetch = Callable[[Path, OnBytes], Awaitable[Fetched | NotModified]]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one run is to do."""

    account_id: UUID
    schema_name: str
    table_name: str | None
    """The name asked for; None: named after the file or layer."""
    live: Table | None
    live_columns: LiveColumns | None
    """Of the table as the run begins; None where there is no table yet."""
    contract: tuple[Column, ...]
    key_columns: tuple[str, ...]
    options: ReadOptions
    policy: GatePolicy
    allowance: Allowance


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What a run that changed tables leaves behind, for the record."""

    fetched: Fetched
    typed: Typed
    applied: tuple[Applied, ...]
    left_out: tuple[str, ...]
    stage_seconds: dict[Stage, float]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A version of the source, fetched and read whole; nothing was done with it yet."""

    fetched: Fetched
    layers: Layers
    typed: Typed


class StageRecorder(Protocol):
    """Where it is told how far a run, or a preview, is; `syncs` implements it."""

    async def stage(self, stage: Stage) -> None:
        """A stage begins."""
        ...

    def progress(self, figures: Mapping[str, object]) -> None:
        """Bytes or rows of the running stage; cheap, may be dropped."""
        ...


class Recorder(StageRecorder, Protocol):
    """Where a run tells what happens; `syncs` implements it."""

    async def imported(self, connection: Connection, imported: Imported) -> None:
        """Record success inside the transaction that applies it, the fence last."""
        ...

    async def hold_fence(self, connection: Connection) -> None:
        """Raise `FencedError` where the run belongs to another worker by now; else it stays ours
        until the transaction ends."""
        ...

    async def not_modified(self, outcome: NotModified) -> None:
        """Record that the table still equals the source."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every run of a worker shares."""

    pool: AsyncConnectionPool[Connection]
    spare: Spare
    sandbox_limits: SandboxLimits
    limits: Limits

    def sandbox(
        self, workspace: Path, recorder: StageRecorder
    ) -> AbstractAsyncContextManager[Sandbox]:
        """A confined child for one run; it reports its progress to the recorder."""
        return Sandbox.start(
            workspace, self.sandbox_limits, spare=self.spare, on_progress=recorder.progress
        )


@dataclass
class Clock:
    """Seconds of each stage; entering one tells the recorder."""

    recorder: StageRecorder
    began_at: dict[Stage, float] = field(default_factory=dict)

    @asynccontextmanager
    async def __call__(self, stage: Stage) -> AsyncIterator[None]:
        await self.recorder.stage(stage)
        self.began_at[stage] = time.monotonic()
        yield

    def seconds(self) -> dict[Stage, float]:
        """Of each stage until the next began, of the running one until now."""
        marks = [*self.began_at.values(), time.monotonic()]
        return {
            stage: round(end - begin, 3)
            for stage, begin, end in zip(self.began_at, marks, marks[1:], strict=False)
        }


async def run_pipeline(
    order: Order, fetch: Fetch, *, workspace: Path, parts: Parts, recorder: Recorder
) -> None:
    """Carry one run out, or raise the `RunError` that ended it; the tables are then as before."""
    during = Clock(recorder)

    source = await read_source(order, fetch, workspace=workspace, parts=parts, during=during)
    if isinstance(source, NotModified):
        await recorder.not_modified(source)
        return

    async with during(Stage.GATE):
        if (over := over_allowance(order, source)) is not None:
            raise over
        for layer in source.typed.layers:
            gate(
                layer,
                live_row_count=order.live.row_count if order.live else None,
                contract=order.contract,
                live_columns=order.live_columns,
                policy=order.policy,
            )

    async def record(connection: Connection, applied: tuple[Applied, ...]) -> None:
        await recorder.imported(
            connection,
            Imported(
                fetched=source.fetched,
                typed=source.typed,
                applied=applied,
                left_out=source.layers.left_out,
                stage_seconds=during.seconds(),
            ),
        )

    async with during(Stage.APPLY):
        with scratch_beside(workspace) as scratch:
            applied = await apply(
                parts.pool,
                list(zip(source.typed.layers, targets(order, source.layers), strict=True)),
                scratch=scratch,
                on_rows=count_rows(recorder),
                record=record,
                hold_fence=recorder.hold_fence,
            )

    async with during(Stage.PUBLISH), parts.pool.connection() as connection:
        changed = [one for one in applied if one.rows.changed]
        await publish(
            connection,
            created=tuple(one.table for one in changed if one.way is not Way.DELTA),
            refreshed=tuple(one.table for one in changed if one.way is Way.DELTA),
        )


async def read_source(
    order: Order, fetch: Fetch, *, workspace: Path, parts: Parts, during: Clock
) -> Source | NotModified:
    """The stages that no table takes part in: fetch, unpack, read, infer."""
    recorder = during.recorder
    async with during(Stage.FETCH):
        fetched = await fetch(workspace, _count_bytes(recorder))
    if isinstance(fetched, NotModified):
        return fetched

    async with parts.sandbox(workspace, recorder) as sandbox:
        async with during(Stage.UNPACK):
            unpacked = await sandbox.unpack(fetched, parts.limits)
        async with during(Stage.READ):
            layers = await sandbox.read(unpacked, order.options, parts.limits)
        async with during(Stage.INFER):
            typed = await sandbox.infer(layers, order.options, parts.limits)
    return Source(fetched=fetched, layers=layers, typed=typed)


def targets(order: Order, layers: Layers) -> list[Target]:
    """Where each layer goes: to the sync's table, or to a new one named after file and layer."""
    return [
        Target(
            account_id=order.account_id,
            schema_name=order.schema_name,
            table_name=table_base_name(order.table_name or layer.table_name),
            live=order.live,
            contract=order.contract,
            key_columns=order.key_columns,
            is_kept_fresh=not order.options.every_layer,
        )
        for layer in layers.layers
    ]


def over_allowance(order: Order, source: Source) -> RunError | None:
    """What the account's plan does not allow of the new version."""
    layers = source.typed.layers
    has_limit = order.allowance.storage_bytes is not None
    return exceeded(
        layers,
        order.allowance,
        makes_tables=order.live is None,
        estimated_bytes=sum(map(estimate_table_bytes, layers)) if has_limit else None,
    )


def _count_bytes(recorder: StageRecorder) -> OnBytes:
    return lambda received, total: recorder.progress({"bytes": received, "total_bytes": total})


def count_rows(recorder: StageRecorder) -> Callable[[int], None]:
    return lambda rows: recorder.progress({"rows": rows})
