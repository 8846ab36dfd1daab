"""What a run leaves for the next one: signatures, census, and what the table is like."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synctables.catalog.tables import Table
from synctables.importer.apply.census import Census
from synctables.importer.apply.model import Connection
from synctables.importer.apply.row_layouts import Numbers
from synctables.importer.apply.signatures import ENTRY, SIGNATURE, append, gone_entries, write_base
from synctables.importer.apply.state import StoredShape, TableState, read_stored_shape, write_state
from synctables.importer.apply.typed_rows import hashed_rows, hashes_at
from synctables.importer.model import SYSTEM_COLUMNS, Column, TypedLayer


async def remember_state(
    connection: Connection,
    table: Table,
    layer: TypedLayer,
    columns: tuple[Column, ...],
    *,
    census: Census,
    key_column: str | None,
    unique_columns: tuple[str, ...],
) -> None:
    """Remember the table as it is now, at the end of the transaction that made it so.

    ``columns`` are ours, also those that are no longer in the file.
    """
    shape = await read_stored_shape(connection, table.relation_oid)
    ours = {*SYSTEM_COLUMNS, *(column.name for column in columns)}
    await write_state(
        connection,
        table.id,
        TableState(
            relation_oid=table.relation_oid,
            shape=StoredShape(
                filenode=shape.filenode,
                columns={name: c for name, c in shape.columns.items() if name in ours},
            ),
            signature_tag=layer.signature_tag,
            row_count=layer.row_count,
            census=census,
            file_columns=tuple(column.name for column in layer.columns),
            key_column=key_column,
            unique_columns=unique_columns,
        ),
    )


async def remember_all(
    connection: Connection, table: Table, layer: TypedLayer, ids: Numbers
) -> None:
    """Keep the signature of every row anew; ``ids`` are in file order. The state comes first."""
    await write_base(connection, table.id, _signatures(layer, ids))


async def remember_changes(
    connection: Connection,
    table: Table,
    layer: TypedLayer,
    *,
    positions: Numbers,
    ids: Numbers,
    places: Numbers,
    gone: Numbers,
) -> None:
    """Keep the signatures of the rows at these positions (ascending), and forget ``gone``."""
    if not len(positions) and not len(gone):
        return
    hashes = await asyncio.to_thread(hashes_at, layer, positions)
    entries = np.empty(len(positions), ENTRY)
    entries["low"], entries["high"] = hashes["low"], hashes["high"]
    entries["id"], entries["place"] = ids, places
    await append(connection, table.id, np.concatenate([gone_entries(gone), entries]))


def _signatures(layer: TypedLayer, ids: Numbers) -> Iterator[NDArray[Any]]:
    for block in hashed_rows(layer):
        signatures = np.empty(len(block), SIGNATURE)
        signatures["low"], signatures["high"] = block["low"], block["high"]
        signatures["id"] = ids[block["position"] - 1]
        yield signatures
