"""Which layers there are in the members, and which of them are followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from synctables.errors import (
    EmptyFileError,
    HtmlRefusedError,
    LayerDisappearedError,
    RasterError,
    RunError,
    TooManyLayersError,
    UnsupportedFileError,
)
from synctables.importer.model import (
    Decision,
    Format,
    Layer,
    Layers,
    Limits,
    Member,
    ReadOptions,
    Unpacked,
)
from synctables.importer.read import columnar, delimited, json_table, spreadsheet, vector
from synctables.importer.read.detect import detect, is_sidecar, refuse_stray_parts
from synctables.importer.read.drivers import DRIVER_OF

Finder = Callable[[Member, ReadOptions, Limits], list[Layer]]
Opener = Callable[[Layer], pa.RecordBatchReader]

_TOLD_FAILURES = 5
_TEXT_SUFFIXES = {".csv", ".tsv", ".tab", ".txt"}
"""Among other files in an archive, text is only taken for a table under one of these."""
_NO_DATA = (UnsupportedFileError, HtmlRefusedError, EmptyFileError)

_FINDERS: dict[Format, Finder] = {
    "csv": delimited.find_layers,
    "json": json_table.find_layers,
    "parquet": columnar.find_layers,
}
_OPENERS: dict[Format, Opener] = {
    "csv": delimited.open_batches,
    "json": json_table.open_batches,
    "parquet": columnar.open_batches,
}
for _kind in spreadsheet.FORMATS:
    _FINDERS[_kind] = partial(spreadsheet.find_layers, _kind)
    _OPENERS[_kind] = spreadsheet.open_batches
for _kind in DRIVER_OF:
    _FINDERS[_kind] = partial(vector.find_layers, _kind)
    _OPENERS[_kind] = vector.open_batches


def read(unpacked: Unpacked, options: ReadOptions, limits: Limits) -> Layers:
    """The layers to follow: all that hold rows with ``every_layer``, else one.

    One bad member does not fail the others; if none can be read, the most telling error is raised.
    A named layer that is not there raises `LayerDisappearedError`.
    """
    if not any(member.path.suffix == ".shp" for member in unpacked.members):
        refuse_stray_parts(unpacked.members)
    found, failures = _find_layers(unpacked, options, limits)
    if not found:
        raise _most_telling(failures)
    if len(found) > limits.max_layers:
        raise TooManyLayersError(
            f"The file holds {len(found)} layers; it may hold {limits.max_layers}."
        )
    chosen, left_out = _choose(found, options, limits, failures)
    notes = unpacked.decisions + tuple(_describe(found, chosen, failures))
    first = replace(chosen[0], decisions=notes + chosen[0].decisions)
    return Layers(layers=(first, *chosen[1:]), left_out=left_out)


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer``, from the first on; may be called again and again."""
    return _OPENERS[layer.format](layer)


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """A member that could not be read, and why."""

    name: str
    error: RunError


def _find_layers(
    unpacked: Unpacked, options: ReadOptions, limits: Limits
) -> tuple[list[Layer], list[_Failure]]:
    """Layers of all members, text files last: next to maps they are mostly notes."""
    found, failures = list[Layer](), list[_Failure]()
    members = [member for member in unpacked.members if not is_sidecar(member)]
    for member in sorted(members, key=lambda member: member.path.suffix == ".txt"):
        try:
            kind = detect(member, accept_html=options.accept_html)
            if kind == "csv" and len(members) > 1 and member.path.suffix not in _TEXT_SUFFIXES:
                raise UnsupportedFileError(f"{member.name} is text, but not by its name.")
            found += _FINDERS[kind](member, options, limits)
        except RunError as error:
            failures.append(_Failure(name=member.name, error=error))
    return found, failures


def _most_telling(failures: list[_Failure]) -> RunError:
    """A broken data file says more than the notes beside it that are no data; a raster, which
    comes with many, says more than they do."""
    if not failures:
        return UnsupportedFileError("The archive holds no data file.")
    broken = [failure for failure in failures if not isinstance(failure.error, _NO_DATA)]
    rasters = [failure for failure in failures if isinstance(failure.error, RasterError)]
    return (broken or rasters or failures)[0].error


def _choose(
    found: list[Layer], options: ReadOptions, limits: Limits, failures: list[_Failure]
) -> tuple[list[Layer], tuple[str, ...]]:
    """The layers to follow, and the names of those beyond the limit."""
    if options.layer is not None:
        return [_named(found, options.layer, failures)], ()
    if len(found) == 1:
        return found, ()
    with_rows = (layer for layer in found if _has_rows(layer))
    if not options.every_layer:
        preferred = [layer for layer in found if layer.name == options.preferred_layer]
        if preferred:
            return preferred[:1], ()
        return [next(with_rows, found[0])], ()
    full = list(with_rows) or found[:1]
    return full[: limits.max_tables], tuple(layer.name for layer in full[limits.max_tables :])


def _named(found: list[Layer], name: str, failures: list[_Failure]) -> Layer:
    for layer in found:
        if layer.name == name:
            return layer
    if failures:  # it may be in the member that could not be read: that is the cause to tell
        raise _most_telling(failures)
    names = ", ".join(layer.name for layer in found[:10])
    raise LayerDisappearedError(f"The file has no layer {name!r} any more. It has: {names}.")


def _has_rows(layer: Layer) -> bool:
    return any(batch.num_rows for batch in open_batches(layer))


def _describe(
    found: list[Layer], chosen: list[Layer], failures: list[_Failure]
) -> Iterator[Decision]:
    if len(found) > 1:
        names = ", ".join(layer.name for layer in found)
        choice = ", ".join(layer.name for layer in chosen)
        yield Decision(subject="layer", choice=choice, reason=f"of {len(found)}: {names}"[:500])
    for failure in failures[:_TOLD_FAILURES]:
        yield Decision(subject="left out", choice=failure.name, reason=str(failure.error)[:200])
    if len(failures) > _TOLD_FAILURES:
        more = f"{len(failures) - _TOLD_FAILURES} more files"
        yield Decision(subject="left out", choice=more, reason="no data either")
