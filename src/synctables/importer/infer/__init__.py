"""Infer: final column names, types and geometry from every value; one typed file per layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synctables.errors import TooManyColumnsError
from synctables.importer.infer.layer_work import OpenBatches, type_layer
from synctables.importer.model import Layer, Layers, Limits, ReadOptions, Typed

__all__ = ["infer"]


def infer(
    layers: Layers,
    open_batches: OpenBatches,
    options: ReadOptions,
    *,
    into: Path,
    limits: Limits,
    on_rows: Callable[[int], None],
) -> Typed:
    """Type each layer into an Arrow file in ``into``, rows in file order, in bounded memory.

    ``open_batches`` gives a layer's rows as often as it is called. ``on_rows`` hears how many rows
    of all layers were read so far. Raises TooManyColumnsError, UnknownSridError and
    InvalidGeometriesError.
    """
    typed, rows_before = [], 0
    for number, layer in enumerate(layers.layers):
        _check_width(layer, limits)
        counted = type_layer(
            layer,
            open_batches,
            options,
            path=into / f"{number}.arrow",
            on_rows=lambda rows, before=rows_before: on_rows(before + rows),  # type: ignore[misc]
        )
        rows_before += counted.row_count
        typed.append(counted)
    return Typed(layers=tuple(typed))


def _check_width(layer: Layer, limits: Limits) -> None:
    if len(layer.fields) > limits.max_columns:
        raise TooManyColumnsError(
            f'The layer "{layer.name}" has {len(layer.fields):,} columns; '
            f"{limits.max_columns:,} are possible."
        )
