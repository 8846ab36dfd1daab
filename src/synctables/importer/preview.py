"""The story of a preview: fetch, unpack, read and infer as a run does, then look ahead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synctables.datasources.base import Fetched, NotModified, OnBytes, SourceVersion
from synctables.errors import RefusedError, RunError
from synctables.importer.apply import coded_table_errors
from synctables.importer.apply.foresee import Foreseen, foresee
from synctables.importer.gate import refusals
from synctables.importer.model import Stage
from synctables.importer.pipeline import (
    Clock,
    Fetch,
    Order,
    Parts,
    Source,
    StageRecorder,
    count_rows,
    over_allowance,
    read_source,
    targets,
)
from synctables.importer.workspace import scratch_beside


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """What a run would find and do. ``source`` and ``foreseen`` are None where it would not get
    that far: the first of ``refusals`` says why."""

    fetched: Fetched
    is_modified: bool | None
    """Whether the content is another than the known one; None: none is known."""
    source: Source | None
    foreseen: Foreseen | None
    table_name: str | None
    refusals: tuple[RunError, ...]
    stage_seconds: dict[Stage, float]


async def run_preview(
    order: Order,
    fetch: Fetch,
    *,
    known: SourceVersion | None,
    workspace: Path,
    parts: Parts,
    recorder: StageRecorder,
) -> Previewed:
    """Read the source as it is and say what a run would do with it; nothing is changed.

    ``fetch`` brings the file in any case; ``known`` is what the table holds. Raises the `RunError`
    that would end a run, but for refusals, which are told.
    """
    during = Clock(recorder)
    came: list[Fetched] = []

    async def fetch_and_tell(into: Path, on_bytes: OnBytes) -> Fetched | NotModified:
        fetched = await fetch(into, on_bytes)
        assert isinstance(fetched, Fetched)  # noqa: S101 - nothing was said to be known
        came.append(fetched)
        return fetched

    source: Source | None = None
    foreseen: Foreseen | None = None
    refused: tuple[RunError, ...]
    try:
        read = await read_source(
            order, fetch_and_tell, workspace=workspace, parts=parts, during=during
        )
        assert isinstance(read, Source)  # noqa: S101 - the same
        source = read
        refused = await _judge(order, source, during)
        foreseen = await _look_ahead(order, source, workspace, parts, during)
        if foreseen.refusal is not None:
            refused = (*refused, foreseen.refusal)
    except RefusedError as error:
        refused = (error,)
    return Previewed(
        fetched=came[0],
        is_modified=None if known is None else _is_modified(known, came[0].version),
        source=source,
        foreseen=foreseen,
        table_name=_table_name(order, source),
        refusals=refused,
        stage_seconds=during.seconds(),
    )


async def _judge(order: Order, source: Source, during: Clock) -> tuple[RunError, ...]:
    async with during(Stage.GATE):
        over = over_allowance(order, source)
        return (
            (over,)
            if over
            else refusals(
                source.typed.layers[0],
                live_row_count=order.live.row_count if order.live else None,
                contract=order.contract,
                live_columns=order.live_columns,
                policy=order.policy,
            )
        )


async def _look_ahead(
    order: Order, source: Source, workspace: Path, parts: Parts, during: Clock
) -> Foreseen:
    async with during(Stage.APPLY):
        with scratch_beside(workspace) as scratch:
            async with coded_table_errors(parts.pool, order.live):
                return await foresee(
                    parts.pool,
                    source.typed.layers[0],
                    targets(order, source.layers)[0],
                    scratch=scratch,
                    on_rows=count_rows(during.recorder),
                )


def _is_modified(known: SourceVersion, now: SourceVersion) -> bool:
    return known.content_sha256 is None or known.content_sha256 != now.content_sha256


def _table_name(order: Order, source: Source | None) -> str | None:
    """The table's name, or the one that a new table would be given if it is free."""
    if order.live is not None:
        return order.live.name
    return targets(order, source.layers)[0].table_name if source else None
