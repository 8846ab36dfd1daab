"""Where a layer's geometry comes from: its own shapes, a column of text, or two of degrees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from synctables.errors import InvalidGeometriesError
from synctables.importer.infer.convert import clean_texts, plain_array, text_array
from synctables.importer.infer.degrees import LATITUDE_NAMES, LONGITUDE_NAMES, degrees
from synctables.importer.infer.geometry import (
    GeometryWriter,
    Shapes,
    report_shapes,
    reproject_by_srid,
)
from synctables.importer.infer.geometry_text import shapes_of_texts
from synctables.importer.infer.points import Points, point_columns, points_of_wkb
from synctables.importer.infer.report import EXAMPLE_COUNT, Misfits
from synctables.importer.infer.text_values import blank_as_null
from synctables.importer.model import GEOMETRY_COLUMN, Decision, Layer, ReadOptions

GEOMETRY_NAMES = ("the_geom", "geometry", "geom", "wkb_geometry", "geojson", "wkt")
"""Headers of columns that may hold shapes as text (reference.md 3.7), the surest first."""
_FORMATS_WITHOUT_SHAPES = ("csv", "xlsx", "xls", "xlsb", "ods", "json", "parquet")
UNREADABLE_SHAPE = b"unreadable"
"""What the readers put where the file has a shape that they could not read."""
GeometryColumns: TypeAlias = tuple[pa.Array, pa.Array]


class GeometryReader(Protocol):
    """Reads the geometry of a layer, chunk by chunk, once through."""

    @property
    def consumed(self) -> frozenset[int]:
        """Fields that become geometry and no column."""

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> GeometryColumns:
        """``the_geom`` and ``the_geom_webmercator`` of a chunk."""

    def source(self, chunk: pa.RecordBatch, the_geom: pa.Array) -> pa.Array:
        """What the file says of each row's place, as bytes or text, to be hashed.

        Before reprojection and repair, whose last bits differ between versions of libraries
        (refresh.md 6). ``the_geom`` is what `columns` made of it.
        """

    @property
    def refutation(self) -> str | None:
        """Why this is no geometry, as soon as one chunk proves it."""

    def rejection(self) -> str | None:
        """After the last chunk: why this was no geometry after all; None: it was."""

    @property
    def is_empty(self) -> bool:
        """After the last chunk: whether there was not a single value."""

    @property
    def geometry_types(self) -> tuple[str, ...]:
        """Names of the types seen, sorted."""

    def decisions(self) -> tuple[Decision, ...]:
        """What was decided, for the report."""


StartGeometry: TypeAlias = Callable[[], GeometryReader]


def geometry_candidates(layer: Layer, options: ReadOptions) -> Iterator[StartGeometry]:
    """What to try as geometry, best first; each call starts a reader anew.

    Where all fail the layer has none. Columns that the live table has stay columns.
    """
    if layer.has_geometry:
        yield lambda: OwnGeometry(layer.crs)
    elif layer.format in _FORMATS_WITHOUT_SHAPES:
        headers = [field.name.strip().lower() for field in layer.fields]
        kept = {column.field for column in options.contract}
        for index in _named(headers, GEOMETRY_NAMES):
            if layer.fields[index].name not in kept:
                yield lambda index=index: TextGeometry(index, layer.fields[index].name)  # type: ignore[misc]
        latitudes, longitudes = _named(headers, LATITUDE_NAMES), _named(headers, LONGITUDE_NAMES)
        if options.type_guessing and latitudes and longitudes:
            pair = (latitudes[0], longitudes[0])
            yield lambda: DegreesGeometry(pair, [layer.fields[index].name for index in pair])


def _named(headers: Sequence[str], names: Sequence[str]) -> list[int]:
    """The fields with these headers, in the order of ``names``."""
    return [index for name in names for index, header in enumerate(headers) if header == name]


class NoGeometry:
    """A layer of plain rows."""

    is_empty = True
    consumed: frozenset[int] = frozenset()
    geometry_types: tuple[str, ...] = ()
    refutation: str | None = None

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> GeometryColumns:
        nothing = pa.nulls(len(chunk), pa.binary())
        return nothing, nothing

    def source(self, chunk: pa.RecordBatch, the_geom: pa.Array) -> pa.Array:
        return the_geom

    def rejection(self) -> str | None:
        return None

    def decisions(self) -> tuple[Decision, ...]:
        return ()


class OwnGeometry:
    """The WKB column of a geospatial format."""

    is_empty = False
    consumed: frozenset[int] = frozenset()
    refutation: str | None = None

    def __init__(self, crs: str | None) -> None:
        self._writer = GeometryWriter(crs)

    @property
    def geometry_types(self) -> tuple[str, ...]:
        return self._writer.geometry_types

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> GeometryColumns:
        blobs = _blobs(chunk)
        points = points_of_wkb(blobs)
        quick = points and self._writer.columns_of_points(points, first_row=first_row)
        if quick:
            return quick
        shapes = _shapes_of_wkb(blobs.to_numpy(zero_copy_only=False), misfits, first_row=first_row)
        return self._writer.columns(shapes, misfits, first_row=first_row)

    def source(self, chunk: pa.RecordBatch, the_geom: pa.Array) -> pa.Array:
        return _blobs(chunk)

    def rejection(self) -> str | None:
        return None

    def decisions(self) -> tuple[Decision, ...]:
        return self._writer.decisions()


def _blobs(chunk: pa.RecordBatch) -> pa.BinaryArray:
    return pc.cast(plain_array(chunk.column("geometry")), pa.binary())


def _shapes_of_wkb(blobs: NDArray[np.object_], misfits: Misfits, *, first_row: int) -> Shapes:
    """Shapes of WKB; rings that are not closed are closed and counted.

    Raises InvalidGeometriesError for what cannot be read at all.
    """
    lost = np.flatnonzero(blobs == UNREADABLE_SHAPE)
    if len(lost):
        cells = [(first_row + int(index), "") for index in lost[:EXAMPLE_COUNT]]
        misfits.add(GEOMETRY_COLUMN, "a shape that cannot be read, kept as NULL", cells, len(lost))
        blobs = blobs.copy()
        blobs[lost] = None
    with np.errstate(invalid="ignore"):  # coordinates that are no numbers are told later
        shapes: Shapes = shapely.from_wkb(blobs, on_invalid="ignore")
    is_given = np.array([blob is not None for blob in blobs])
    broken = np.flatnonzero(is_given & shapely.is_missing(shapes))
    if len(broken):
        shapes[broken] = shapely.from_wkb(blobs[broken], on_invalid="fix")
        lost = broken[shapely.is_missing(shapes[broken])]
        if len(lost):
            row = first_row + int(lost[0])
            raise InvalidGeometriesError(
                f"{len(lost):,} shapes cannot be read, the first in row {row:,}."
            )
        report_shapes(misfits, "ring that was not closed, closed", broken, shapes, first_row)
    return shapes


class TextGeometry:
    """A column of text by a geometry's name; it is one if at least half of its values parse."""

    refutation: str | None = None

    def __init__(self, index: int, header: str) -> None:
        self.consumed = frozenset({index})
        self._index, self._header = index, header
        self._writer = GeometryWriter(None)
        self._value_count = self._shape_count = self._declared_count = 0

    @property
    def geometry_types(self) -> tuple[str, ...]:
        return self._writer.geometry_types

    @property
    def is_empty(self) -> bool:
        return self._value_count == 0

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> GeometryColumns:
        texts = self._texts(chunk, misfits, first_row=first_row).to_pylist()
        shapes, is_declared = reproject_by_srid(shapes_of_texts(texts))
        unread = [i for i, text in enumerate(texts) if text is not None and shapes[i] is None]
        if unread:
            cells = [(first_row + i, str(texts[i])) for i in unread[:EXAMPLE_COUNT]]
            misfits.add(GEOMETRY_COLUMN, "not a shape", cells, len(unread))
        self._value_count += sum(text is not None for text in texts)
        self._shape_count += int((~shapely.is_missing(shapes)).sum())
        self._declared_count += int(is_declared.sum())
        return self._writer.columns(shapes, misfits, first_row=first_row, is_declared=is_declared)

    def source(self, chunk: pa.RecordBatch, the_geom: pa.Array) -> pa.Array:
        return self._texts(chunk, Misfits(), first_row=1)

    def _texts(self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int) -> pa.StringArray:
        texts = text_array(chunk.column(f"f{self._index}"))
        return blank_as_null(clean_texts(texts, misfits.at(GEOMETRY_COLUMN, first_row)))

    def rejection(self) -> str | None:
        if self.is_empty:
            return f'the field "{self._header}" holds nothing'
        if self._shape_count * 2 < self._value_count:
            unread = self._value_count - self._shape_count
            return f'{unread:,} of {self._value_count:,} values of "{self._header}" are no shapes'
        return None

    def decisions(self) -> tuple[Decision, ...]:
        source = Decision(
            subject="geometry",
            choice=f'from the field "{self._header}"',
            reason=f"{self._shape_count:,} of {self._value_count:,} values are shapes",
        )
        named_by_values = self._declared_count == self._shape_count > 0
        return (source, *self._writer.decisions(named_by_values=named_by_values))


class DegreesGeometry:
    """Points from a latitude and a longitude, both of which stay columns too."""

    consumed: frozenset[int] = frozenset()
    is_empty = False

    def __init__(self, pair: tuple[int, int], headers: Sequence[str]) -> None:
        """``pair``: the fields of latitude and longitude, in this order."""
        self._pair, self._headers = pair, headers
        self._point_count = 0
        self.refutation: str | None = None

    @property
    def geometry_types(self) -> tuple[str, ...]:
        return ("Point",) if self._point_count else ()

    def columns(
        self, chunk: pa.RecordBatch, misfits: Misfits, *, first_row: int
    ) -> GeometryColumns:
        cells = [plain_array(chunk.column(f"f{index}")) for index in self._pair]
        latitude, longitude = (degrees(cell) for cell in cells)
        for header, cell, numbers, largest in zip(
            self._headers, cells, (latitude, longitude), (90, 180), strict=True
        ):
            outside = np.flatnonzero(np.abs(numbers) > largest)
            if len(outside):
                row = int(outside[0])
                self.refutation = (
                    f'row {first_row + row:,} of "{header}" holds "{cell[row].as_py()}", '
                    f"which is beyond ±{largest}°"
                )
            self._report_unread(header, cell, numbers, misfits, first_row)
        present = np.isfinite(latitude) & np.isfinite(longitude)
        self._point_count += int(present.sum())
        return point_columns(Points(x=longitude[present], y=latitude[present], present=present))

    def source(self, chunk: pa.RecordBatch, the_geom: pa.Array) -> pa.Array:
        return the_geom  # degrees as they were read: nothing was reprojected or repaired

    def rejection(self) -> str | None:
        return self.refutation

    def decisions(self) -> tuple[Decision, ...]:
        fields = " and ".join(f'"{header}"' for header in self._headers)
        return (
            Decision(
                subject="geometry",
                choice=f"points from the fields {fields}",
                reason=f"all in range; {self._point_count:,} rows have both",
            ),
        )

    def _report_unread(
        self, header: str, cell: pa.Array, numbers: np.ndarray, misfits: Misfits, first_row: int
    ) -> None:
        if np.isfinite(numbers).all():
            return
        texts = blank_as_null(text_array(cell))
        unread = pc.indices_nonzero(
            pc.and_(pc.is_valid(texts), pa.array(~np.isfinite(numbers)))
        ).to_pylist()
        if unread:
            cells = [(first_row + i, texts[i].as_py()) for i in unread[:EXAMPLE_COUNT]]
            misfits.add(GEOMETRY_COLUMN, f'no degrees in "{header}"', cells, len(unread))
