"""A first import: create the tables, and remember what their refreshes will compare with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from psycopg_pool import AsyncConnectionPool

from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.create import create_all
from synctables.importer.apply.keys import unique_columns
from synctables.importer.apply.model import Applied, Connection, Target
from synctables.importer.apply.remember import remember_all, remember_state
from synctables.importer.apply.work import Record
from synctables.importer.model import TypedLayer


async def first_import(
    pool: AsyncConnectionPool[Connection],
    layers: Sequence[tuple[TypedLayer, Target]],
    *,
    scratch: Path,
    on_rows: OnRows,
    record: Record,
) -> tuple[Applied, ...]:
    """Make a table of each layer; all of them become visible with what ``record`` writes."""
    keys = asyncio.create_task(_find_keys(layers, scratch))

    async def finish(connection: Connection, applied: tuple[Applied, ...]) -> None:
        for made, (layer, target), unique in zip(applied, layers, await keys, strict=True):
            if target.is_kept_fresh:
                await _remember(connection, made, layer, unique)
        await record(connection, applied)

    try:
        return await create_all(pool, layers, on_rows=on_rows, finish=finish)
    finally:
        # A thread cannot be called off, and it reads a file that is removed after the run.
        await asyncio.gather(keys, return_exceptions=True)


async def _find_keys(
    layers: Sequence[tuple[TypedLayer, Target]], scratch: Path
) -> list[tuple[str, ...]]:
    """The columns that tell all rows of each layer apart; found while rows are sent."""
    return [
        await asyncio.to_thread(unique_columns, layer, among=None, scratch=scratch)
        if target.is_kept_fresh
        else ()
        for layer, target in layers
    ]


async def _remember(
    connection: Connection, made: Applied, layer: TypedLayer, unique: tuple[str, ...]
) -> None:
    await remember_state(
        connection,
        made.table,
        layer,
        made.columns,
        census=made.census,
        key_column=None,
        unique_columns=unique,
    )
    await remember_all(connection, made.table, layer, np.arange(1, layer.row_count + 1))
