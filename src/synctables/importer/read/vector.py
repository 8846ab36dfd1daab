"""Geospatial formats through GDAL's Arrow stream, with the one driver that detection chose.

Fields arrive with GDAL's types; geometries as 2D WKB. Nested values are JSON text, marked with
Arrow's ``arrow.json`` extension name so that they become jsonb. Moments written as GeoJSON strings
stay text to guess: GDAL would cut them to milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
import pyproj
from pyogrio.errors import DataLayerError, DataSourceError

from synctables.errors import (
    InvalidGeoJsonError,
    InvalidShapefileError,
    LoadError,
    TooManyColumnsError,
)
from synctables.importer.model import (
    Decision,
    Field,
    Format,
    Layer,
    Limits,
    Member,
    ReadOptions,
)
from synctables.importer.read.arrow import JSON_MARK, convert, nested_only, target_type
from synctables.importer.read.drivers import (
    DRIVER_OF,
    OPEN_OPTIONS,
    Source,
    layer_names,
    prepare,
    statement_for,
)
from synctables.importer.read.exact_features import ExactFeatures, has_long_integers
from synctables.importer.read.gdal import allow_only
from synctables.importer.read.geojson_crs import told_apart, why
from synctables.importer.read.known_columns import columns_of, open_known
from synctables.importer.read.long_integers import may_hold_long_integers
from synctables.importer.read.names import stem_of
from synctables.importer.read.wkb import force_2d, has_more_dimensions

BATCH_ROWS = 16_384

_GEOJSON = {"geojson", "geojsonseq"}
_MOMENTS = {"OFTDate", "OFTTime", "OFTDateTime"}
_BROKEN = (DataSourceError, DataLayerError, pa.ArrowException, OSError, UnicodeDecodeError)
"""What GDAL says of a broken file, at any time: some are found broken only while they are read."""
_USUAL_ROW_IDS = {"", "fid", "ogc_fid"}
"""Names of row numbers that GDAL makes up; under any other name they are the user's column."""


def find_layers(kind: Format, member: Member, _: ReadOptions, limits: Limits) -> list[Layer]:
    """All layers of a member, in file order.

    Raises `InvalidGeoJsonError`, `InvalidShapefileError`, `EmptyKmlError`, `LoadError` (another
    broken file), `EmptyFileError` (no layer at all) and `TooManyColumnsError`.
    """
    source = prepare(kind, member)
    allow_only(DRIVER_OF[kind])
    try:
        names = layer_names(kind, member, source.path)
        return [_find_layer(kind, member, name, names, source, limits) for name in names]
    except (*_BROKEN, IndexError) as error:  # the last one: no layer at all
        raise _explain(kind, error) from error


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` in file order, geometry last."""
    allow_only(DRIVER_OF[layer.format])
    # Opening alone costs GDAL a pass over a GeoJSON, so it is opened once for schema and rows.
    with ExitStack() as opening:
        _, reader = opening.enter_context(_open(layer))
        schema = _schema(layer, reader.schema)
        opened = opening.pop_all()
    return pa.RecordBatchReader.from_batches(schema, _stream(layer, reader, schema, opened))


def _find_layer(
    kind: Format,
    member: Member,
    name: str | None,
    names: list[str | None],
    source: Source,
    limits: Limits,
) -> Layer:
    info = pyogrio.read_info(str(source.path), layer=name, encoding=source.encoding)
    row_id = _row_id(info)
    fields = [Field(name=row_id)] if row_id else []
    exact = _find_rounded(info, source.path) if kind in _GEOJSON else []
    fields += [_field(kind, info, index, exact) for index in range(len(info["fields"]))]
    if len(fields) > limits.max_columns:
        raise TooManyColumnsError(
            f"The file has {len(fields)} columns; a table can have {limits.max_columns}."
        )
    stem = stem_of(member.name)
    layer = Layer(
        name=name or stem,
        member=member,
        format=kind,
        fields=tuple(fields),
        has_geometry=info["geometry_type"] is not None,
        crs=told_apart(_crs(info["crs"]), kind, source.path),
        details={
            "path": str(source.path),
            "layer": name,
            "encoding": source.encoding,
            "row_id": row_id,
            "exact": [index + (row_id is not None) for index in exact],
            "columns": columns_of(info),
        },
        misfits=source.misfits,
        table_name=stem if len(names) == 1 else f"{stem}_{name}",
    )
    layer.details["nested"] = _find_nested(layer, info, offset=1 if row_id else 0)
    has_heights = _has_heights(layer, str(info["geometry_type"]))
    decisions = source.decisions + tuple(_describe(info, layer.crs, has_heights=has_heights))
    return replace(layer, decisions=decisions)


def _row_id(info: dict[str, Any]) -> str | None:
    """The field that GDAL took for row numbers, unless it stands among the fields as well.

    GeoJSON features carry an ``id`` beside their properties; where a property is called so too,
    GDAL gives it twice.
    """
    name = str(info["fid_column"])
    return None if name in _USUAL_ROW_IDS or name in info["fields"] else name


def _find_rounded(info: dict[str, Any], path: Path) -> list[int]:
    """Indexes of fields of doubles that are integers too large for it in the file."""
    if "OFTReal" not in info["ogr_types"] or not may_hold_long_integers(path):
        return []
    fields = enumerate(zip(info["fields"], info["ogr_types"], strict=True))
    return [i for i, (name, kind) in fields if kind == "OFTReal" and has_long_integers(path, name)]


def _field(kind: Format, info: dict[str, Any], index: int, exact: list[int]) -> Field:
    is_moment = kind == "geojson" and info["ogr_types"][index] in _MOMENTS
    return Field(name=str(info["fields"][index]), is_text_to_guess=is_moment or index in exact)


def _crs(found: str | None) -> str | None:
    """The horizontal part: heights are dropped, so a 3D system would be a false claim."""
    if not found:
        return None
    try:
        crs = pyproj.CRS.from_user_input(found)
        return found if len(crs.axis_info) <= 2 else str(crs.to_2d().to_string())
    except pyproj.exceptions.CRSError:
        return found


def _describe(info: dict[str, Any], crs: str | None, *, has_heights: bool) -> list[Decision]:
    if info["geometry_type"] is None:
        return []
    notes = [Decision(subject="crs", choice=_short_name(crs), reason=why(crs))]
    if has_heights:
        reason = "heights and measures of the file's geometries are dropped"
        notes.append(Decision(subject="geometry", choice="2D", reason=reason))
    return notes


def _short_name(crs: str | None) -> str:
    """``EPSG:25830`` as it is; of a WKT only its name."""
    if crs is None:
        return "unknown"
    return crs.split('"')[1] if '"' in crs else crs


def _has_heights(layer: Layer, geometry_type: str) -> bool:
    """By the declared type, or by the first rows where the layer declares none."""
    if geometry_type.startswith("2.5D") or geometry_type.endswith((" Z", " M", " ZM")):
        return True
    if geometry_type != "Unknown":
        return False
    with _open(layer) as (_, reader):
        batch = next(iter(reader), None)
        return batch is not None and has_more_dimensions(batch.column(len(layer.fields)))


def _find_nested(layer: Layer, info: dict[str, Any], *, offset: int) -> list[int]:
    """Columns of nested values, which become jsonb; those of mixed scalars are text."""
    kinds = zip(info["ogr_types"], info["ogr_subtypes"], strict=True)
    is_json = [
        index + offset
        for index, (kind, sub) in enumerate(kinds)
        if sub == "OFSTJSON" or kind.endswith("List")
    ]
    if not is_json:
        return []
    with _open(layer) as (_, reader):
        return nested_only(reader, is_json)


def _open(layer: Layer) -> Any:
    name = layer.details["layer"]
    statement = statement_for(layer.format, name)
    options = {
        "layer": None if statement else name,
        "sql": statement,
        "encoding": layer.details["encoding"],
        "return_fids": layer.details["row_id"] is not None,
        "datetime_as_string": True,
        "batch_size": BATCH_ROWS,
        "use_pyarrow": True,
        **OPEN_OPTIONS.get(layer.format, {}),
    }
    path = str(layer.details["path"])
    if layer.format == "geojson":
        return open_known(path, layer.details["columns"], **options)
    return pyogrio.open_arrow(path, **options)


def _schema(layer: Layer, found: pa.Schema) -> pa.Schema:
    nested, exact = layer.details["nested"], layer.details["exact"]
    assert isinstance(nested, list)  # noqa: S101 - our own details, for the type checker
    assert isinstance(exact, list)  # noqa: S101
    fields = []
    for index in range(len(layer.fields)):
        mark = JSON_MARK if index in nested else None
        kind = pa.string() if index in exact else target_type(found.field(index))
        fields.append(pa.field(f"f{index}", kind, metadata=mark))
    if layer.has_geometry:
        fields.append(pa.field("geometry", pa.binary()))
    return pa.schema(fields)


def _stream(
    layer: Layer, reader: pa.RecordBatchReader, schema: pa.Schema, opened: ExitStack
) -> Iterator[pa.RecordBatch]:
    """The reader's batches in the schema's types; the file is closed after the last."""
    width, exact = len(layer.fields), layer.details["exact"]
    assert isinstance(exact, list)  # noqa: S101 - our own detail, for the type checker
    try:
        with opened:
            text = ExactFeatures(Path(str(layer.details["path"])))
            for batch in reader:
                if layer.format == "flatgeobuf":
                    # GDAL makes its arrays of lengths in the file that it did not look at. (Its
                    # other way, OGR_FLATGEOBUF_STREAM_BASE_IMPL, leaves broken rows out silently.)
                    batch.validate(full=True)
                text.advance(batch.num_rows)
                arrays = [
                    text.values(field.name)
                    if index in exact
                    else convert(batch.column(index), schema.field(index).type)
                    for index, field in enumerate(layer.fields)
                ]
                if layer.has_geometry:
                    shapes = force_2d(batch.column(width))
                    arrays.append(text.mark_lost(shapes) if layer.format in _GEOJSON else shapes)
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except _BROKEN as error:
        raise _explain(layer.format, error) from error


def _explain(kind: Format, error: Exception) -> Exception:
    if getattr(error, "errno", None):  # the disk or a limit, and not the file
        return error
    text = str(error)[:300]
    if kind in _GEOJSON:
        return InvalidGeoJsonError(f"The file is no valid GeoJSON: {text}")
    if kind == "shapefile":
        return InvalidShapefileError(f"The shapefile cannot be opened: {text}")
    return LoadError(f"The file cannot be opened: {text}")
