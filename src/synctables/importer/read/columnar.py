"""Parquet and GeoParquet: one layer with the file's own types.

Which column is the geometry, and in which system, says the file's ``geo`` metadata
(geoparquet.org, 1.1): no ``crs`` there means OGC:CRS84, an explicit null that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synctables.errors import LoadError, TooManyColumnsError
from synctables.importer.model import Decision, Field, Layer, Limits, Member, ReadOptions
from synctables.importer.read.arrow import JSON_MARK
from synctables.importer.read.names import stem_of
from synctables.importer.read.nested import write_json
from synctables.importer.read.wkb import force_2d

BATCH_ROWS = 16_384
_DEFAULT_CRS = "OGC:CRS84"


def find_layers(member: Member, _: ReadOptions, limits: Limits) -> list[Layer]:
    """The one layer of a Parquet file. Raises `LoadError` and `TooManyColumnsError`."""
    try:
        with pq.ParquetFile(member.path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise LoadError(f"The Parquet file cannot be opened: {str(error)[:300]}") from error
    geometry, crs = _find_geometry(schema)
    kept = [index for index, field in enumerate(schema) if field.name != geometry]
    if len(kept) > limits.max_columns:
        raise TooManyColumnsError(
            f"The file has {len(kept)} columns; a table can have {limits.max_columns}."
        )
    notes = []
    if geometry is not None:
        reason = "as the file says" if crs else "the file does not say"
        notes.append(Decision(subject="crs", choice=_short_name(crs), reason=reason))
    stem = stem_of(member.name)
    layer = Layer(
        name=stem,
        member=member,
        format="parquet",
        fields=tuple(Field(name=schema.field(index).name) for index in kept),
        has_geometry=geometry is not None,
        crs=crs,
        details={"kept": kept, "geometry": geometry},
        decisions=tuple(notes),
        table_name=stem,
    )
    return [layer]


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` in file order, geometry last."""
    with pq.ParquetFile(layer.member.path) as file:
        found = file.schema_arrow
    kept = layer.details["kept"]
    assert isinstance(kept, list)  # noqa: S101 - our own detail, for the type checker
    fields = [_target(f"f{at}", found.field(index)) for at, index in enumerate(kept)]
    if layer.has_geometry:
        fields.append(pa.field("geometry", pa.binary()))
        kept = [*kept, found.get_field_index(str(layer.details["geometry"]))]
    schema = pa.schema(fields)
    return pa.RecordBatchReader.from_batches(schema, _stream(layer, kept, schema))


def _stream(layer: Layer, kept: list[int], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(layer.member.path) as file:
            for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
                arrays = [
                    _convert(batch.column(index), field)
                    for index, field in zip(kept, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (pa.ArrowException, OSError) as error:
        raise LoadError(f"The Parquet file is broken: {str(error)[:300]}") from error


def _find_geometry(schema: pa.Schema) -> tuple[str | None, str | None]:
    """Name and coordinate system of the main geometry column, of which only WKB is read."""
    try:
        geo = json.loads((schema.metadata or {})[b"geo"])
        name = str(geo["primary_column"])
        column = geo["columns"][name]
    except (KeyError, ValueError, TypeError):
        return _find_extension(schema)
    if column.get("encoding") != "WKB" or name not in schema.names:
        raise LoadError(f"Geometry of encoding {column.get('encoding')!r} is not read, only WKB.")
    if "crs" not in column:
        return name, _DEFAULT_CRS
    return name, json.dumps(column["crs"]) if column["crs"] else None


def _find_extension(schema: pa.Schema) -> tuple[str | None, str | None]:
    """The first column of Parquet's own type GEOMETRY, which Arrow calls ``geoarrow.wkb``."""
    for field in schema:
        metadata = field.metadata or {}
        name = getattr(field.type, "extension_name", None)
        if name == "geoarrow.wkb" or metadata.get(b"ARROW:extension:name") == b"geoarrow.wkb":
            said = metadata.get(b"ARROW:extension:metadata") or b"{}"
            crs = json.loads(said).get("crs", _DEFAULT_CRS)
            return field.name, crs if isinstance(crs, str) else json.dumps(crs) if crs else None
    return None, None


def _short_name(crs: str | None) -> str:
    if crs is None or not crs.startswith("{"):
        return crs or "unknown"
    found: dict[str, Any] = json.loads(crs)
    code = found.get("id", {})
    return f"{code['authority']}:{code['code']}" if code else str(found.get("name"))


def _target(name: str, found: pa.Field) -> pa.Field:
    """The field in the layer's stream, in types that infer knows."""
    kind = _storage_type(found.type)
    if pa.types.is_nested(kind):
        return pa.field(name, pa.string(), metadata=JSON_MARK)
    is_text = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if is_text or pa.types.is_null(kind) or pa.types.is_duration(kind) or _is_interval(kind):
        return pa.field(name, pa.string(), metadata=found.metadata)
    is_bytes = pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    if is_bytes or pa.types.is_binary_view(kind):
        return pa.field(name, pa.binary())
    if pa.types.is_float16(kind) or pa.types.is_float32(kind):
        return pa.field(name, pa.float64())
    return pa.field(name, kind, metadata=found.metadata)


def _storage_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_interval(kind: pa.DataType) -> bool:
    return bool(pa.types.is_interval(kind))


def _convert(array: pa.Array, field: pa.Field) -> pa.Array:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if field.name == "geometry":
        return force_2d(array)
    if pa.types.is_nested(array.type):
        values = [None if value is None else write_json(value) for value in array.to_pylist()]
        return pa.array(values, pa.string())
    if pa.types.is_duration(array.type) or _is_interval(array.type):
        values = [None if value is None else str(value) for value in array.to_pylist()]
        return pa.array(values, pa.string())
    return pc.cast(array, field.type) if array.type != field.type else array
