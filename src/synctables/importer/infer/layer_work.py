"""One layer to one typed file: as few passes over its rows as its values allow.

A pass folds every value into its column's need, and at the same time writes the file in the types
that the first chunk suggests. Where a later chunk shows that one of them is too strict, the
suggestion was wrong, and the file is written anew with the needs of all values seen so far: at once
where little is lost by it, else when all values are known. So the result depends on all values and
never on chunks; a good suggestion only saves time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from synctables.importer.infer.column_reader import TEXT_SHAPE, ColumnReader, Reading, Shape
from synctables.importer.infer.columns import (
    ColumnPlan,
    idle_pins,
    plan_columns,
    vanished_columns,
)
from synctables.importer.infer.convert import declared_type, needs_digits
from synctables.importer.infer.declared_column import DeclaredColumn
from synctables.importer.infer.geometry_sources import (
    GeometryReader,
    NoGeometry,
    StartGeometry,
    geometry_candidates,
)
from synctables.importer.infer.guessed_column import GuessedColumn
from synctables.importer.infer.pinned_column import PinnedColumn
from synctables.importer.infer.report import Misfits
from synctables.importer.infer.row_hashes import SIGNATURE_TAG, HashedColumn, row_hashes
from synctables.importer.infer.typed_file import TypedFile, chunked
from synctables.importer.infer.workers import Workers
from synctables.importer.model import (
    GEOMETRY_COLUMN,
    ColumnType,
    Decision,
    Layer,
    ReadOptions,
    TypedLayer,
)

OpenBatches = Callable[[Layer], pa.RecordBatchReader]
OnRows = Callable[[int], None]
_SPREADSHEETS = ("xlsx", "xls", "xlsb", "ods")


def type_layer(
    layer: Layer, open_batches: OpenBatches, options: ReadOptions, *, path: Path, on_rows: OnRows
) -> TypedLayer:
    """Write the layer's typed file to ``path``. ``on_rows`` hears how many were read."""
    on_rows = _rising(on_rows)
    rejections: list[Decision] = []
    dropped: frozenset[int] = frozenset()
    for start_geometry in (*geometry_candidates(layer, options), NoGeometry):
        work = LayerWork(
            layer,
            open_batches,
            options,
            start_geometry=start_geometry,
            consumed=start_geometry().consumed | dropped,
            path=path,
        )
        outcome = work.run(on_rows)
        if outcome.rejection is None:
            return work.typed_layer(outcome, rejections)
        rejections.append(Decision(subject="geometry", choice="none", reason=outcome.rejection))
        if outcome.geometry.is_empty:
            dropped |= outcome.geometry.consumed
    raise AssertionError("a layer without geometry is never rejected")


def _rising(on_rows: OnRows) -> OnRows:
    """Only what is more than was told before: a later pass reads the same rows again."""
    told = 0

    def tell(row_count: int) -> None:
        nonlocal told
        if row_count > told:
            told = row_count
            on_rows(row_count)

    return tell


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one pass over the rows gave.

    ``is_whole``: the file on disk is right. ``rejection``: why the geometry was none after all.
    """

    row_count: int
    is_whole: bool
    misfits: Misfits
    geometry: GeometryReader
    rejection: str | None


def _text_of(reading: Reading) -> pa.Array:
    """A chunk of a guessed column as text, whatever its values would allow."""
    return reading.values


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Some rows on their way through, and what was read of each planned column."""

    batch: pa.RecordBatch
    first_row: int
    readings: tuple[Reading, ...]


class LayerWork:
    """The columns of one layer, with one idea of where its geometry is."""

    def __init__(
        self,
        layer: Layer,
        open_batches: OpenBatches,
        options: ReadOptions,
        *,
        start_geometry: StartGeometry,
        consumed: frozenset[int],
        path: Path,
    ) -> None:
        self._layer, self._open_batches, self._options = layer, open_batches, options
        self._start_geometry, self._path = start_geometry, path
        self._plans = plan_columns(
            layer.fields,
            contract=options.contract,
            pinned=options.column_types,
            taken=options.taken_names,
            consumed=consumed,
        )
        self._readers: list[ColumnReader] = []
        self._began_anew_at = 0
        self._trusts_hints = True

    def run(self, on_rows: OnRows) -> Outcome:
        """Pass over the rows until the file is whole, or the geometry turns out to be none."""
        with Workers() as workers:
            outcome = self._pass(workers, on_rows)
            while not outcome.is_whole and outcome.rejection is None:
                outcome = self._pass(workers, on_rows)
        return outcome

    def typed_layer(self, outcome: Outcome, rejections: Sequence[Decision]) -> TypedLayer:
        """The value that the stage hands on."""
        return TypedLayer(
            name=self._layer.name,
            path=self._path,
            columns=tuple(reader.column() for reader in self._readers),
            row_count=outcome.row_count,
            signature_tag=SIGNATURE_TAG,
            geometry_types=outcome.geometry.geometry_types,
            misfits=(*self._layer.misfits, *outcome.misfits.listed()),
            decisions=(
                *self._layer.decisions,
                *rejections,
                *outcome.geometry.decisions(),
                *self._widenings(),
                *vanished_columns(self._plans, self._options.contract),
                *idle_pins(self._plans, self._options.column_types),
            ),
        )

    def _pass(self, workers: Workers, on_rows: OnRows) -> Outcome:
        """Read rows, and write them for as long as the first chunk's shapes hold."""
        geometry, misfits = self._start_geometry(), Misfits()
        is_whole, row_count = True, 0
        shapes: tuple[Shape, ...] | None = None
        with TypedFile(self._path) as file, workers.behind(file.write) as write:
            for chunk in self._chunks(workers, misfits):
                if shapes is None:
                    shapes = self._foreseen_shapes()
                    file.open(self._fields(shapes))
                row_count += len(chunk.batch)
                on_rows(row_count)
                if is_whole and shapes != self._foreseen_shapes():
                    is_whole = False
                    if self._begins_anew(row_count):
                        break
                if is_whole:
                    write(self._finished(chunk, shapes, geometry, misfits, workers))
                if geometry.refutation:
                    break
            if shapes is None:
                file.open(self._fields(self._shapes()))
            elif is_whole and shapes != self._shapes():  # a hint was wrong
                is_whole = self._trusts_hints = False
        return Outcome(
            row_count=row_count,
            is_whole=is_whole,
            misfits=misfits,
            geometry=geometry,
            rejection=geometry.rejection() if is_whole else geometry.refutation,
        )

    def _begins_anew(self, row_count: int) -> bool:
        """Whether to give up a pass here, where a shape has changed, and not read to the end.

        What is read in vain that way at least doubles each time, so all of it is less than twice
        the file.
        """
        if row_count < 2 * self._began_anew_at:
            return False
        self._began_anew_at = row_count
        return True

    def _chunks(self, workers: Workers, misfits: Misfits) -> Iterator[Chunk]:
        batches = self._open_batches(self._layer)
        if not self._readers:
            self._readers = [self._reader(plan, batches.schema) for plan in self._plans]
        first_row = 1
        for batch in workers.ahead(chunked(batches)):
            readings = workers.each(
                lambda reader, batch=batch, first_row=first_row: reader.read(
                    batch.column(f"f{reader.plan.index}"), misfits.at(reader.plan.name, first_row)
                ),
                self._readers,
            )
            yield Chunk(batch=batch, first_row=first_row, readings=tuple(readings))
            first_row += len(batch)

    def _finished(
        self,
        chunk: Chunk,
        shapes: Sequence[Shape],
        geometry: GeometryReader,
        misfits: Misfits,
        workers: Workers,
    ) -> list[pa.Array]:
        """All columns of the typed file for one chunk, geometries first and hashes last."""
        work: list[Callable[[], Any]] = [
            partial(geometry.columns, chunk.batch, misfits, first_row=chunk.first_row),
            *(
                partial(reader.typed if shape == reader.shape else _text_of, reading)
                for reader, reading, shape in zip(
                    self._readers, chunk.readings, shapes, strict=True
                )
            ),
        ]
        placed, *typed = workers.each(lambda part: part(), work)
        source = HashedColumn(
            name=GEOMETRY_COLUMN,
            kind=f"geometry {self._layer.crs}",
            values=geometry.source(chunk.batch, placed[0]),
        )
        hashed = (
            HashedColumn(name=plan.name, kind=shape.type, values=values)
            for plan, shape, values in zip(self._plans, shapes, typed, strict=True)
        )
        return [*placed, *typed, *row_hashes([source, *hashed], workers.each)]

    def _shapes(self) -> tuple[Shape, ...]:
        return tuple(reader.shape for reader in self._readers)

    def _foreseen_shapes(self) -> tuple[Shape, ...]:
        """The shapes to write in: those so far, but text where a hint says so."""
        return tuple(
            TEXT_SHAPE if self._will_be_text(reader) else reader.shape for reader in self._readers
        )

    def _will_be_text(self, reader: ColumnReader) -> bool:
        is_hinted = self._layer.fields[reader.plan.index].turns_to_text
        return is_hinted and self._trusts_hints and isinstance(reader, GuessedColumn)

    def _fields(self, shapes: Sequence[Shape]) -> list[pa.Field]:
        return [
            pa.field(plan.name, shape.arrow)
            for plan, shape in zip(self._plans, shapes, strict=True)
        ]

    def _reader(self, plan: ColumnPlan, schema: pa.Schema) -> ColumnReader:
        arrow = schema.field(f"f{plan.index}")
        declared = declared_type(arrow)
        if plan.pinned is not None:
            return PinnedColumn(plan, pinned=plan.pinned)
        if self._layer.format in _SPREADSHEETS and not self._options.type_guessing:
            return GuessedColumn(plan, is_guessed=False)
        if declared is ColumnType.TEXT:
            return GuessedColumn(plan, is_guessed=self._may_guess(plan))
        if (plan.contract and plan.contract.type is not declared) or needs_digits(arrow.type):
            return GuessedColumn(plan, is_guessed=True)
        return DeclaredColumn(plan, arrow.type, declared=declared)

    def _may_guess(self, plan: ColumnPlan) -> bool:
        field, options = self._layer.fields[plan.index], self._options
        if field.is_quoted and not options.quoted_fields_guessing:
            return False
        return field.is_text_to_guess and options.type_guessing

    def _widenings(self) -> Iterator[Decision]:
        for reader in self._readers:
            if reader.widening is not None:
                yield Decision(
                    subject=f"type of {reader.plan.name}",
                    choice=reader.shape.type,
                    reason=reader.widening,
                )
