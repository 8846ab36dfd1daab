"""Workbooks (XLSX, XLS, XLSB, ODS) through calamine: every sheet that holds something is a layer.

The first row that is not empty is the header; empty rows are no rows, as in delimited text. A
sheet is read once, when it is found, into an Arrow file in the workspace that `open_batches` maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import python_calamine

from synctables.errors import (
    EmptyFileError,
    MalformedSpreadsheetError,
    PasswordProtectedError,
    TooManyColumnsError,
)
from synctables.importer.containers import ZIP_ERRORS
from synctables.importer.model import (
    Decision,
    Field,
    Format,
    Layer,
    Limits,
    Member,
    Misfit,
    ReadOptions,
)
from synctables.importer.read import ods_cells, xls_records, xlsb_records
from synctables.importer.read.names import stem_of, with_suffix
from synctables.importer.read.sheet_pieces import CannotCutError, read_pieces
from synctables.importer.read.sheet_table import Block, SheetTable
from synctables.importer.read.sheets import SheetSurvey, survey_sheets

CHUNK_ROWS = 16_384
EXAMPLES = 3

_SURVEYS: dict[Format, Callable[..., dict[str, SheetSurvey]]] = {
    "xlsx": survey_sheets,
    "xls": xls_records.survey_sheets,
    "xlsb": xlsb_records.survey_sheets,
    "ods": ods_cells.survey_sheets,
}
FORMATS = tuple(_SURVEYS)


def find_layers(kind: Format, member: Member, options: ReadOptions, limits: Limits) -> list[Layer]:
    """A layer for each sheet with at least one cell.

    Raises `MalformedSpreadsheetError`, `PasswordProtectedError`, `FileTooBigError` (a far cell),
    `EmptyFileError` and `TooManyColumnsError`.
    """
    surveys = _SURVEYS[kind](member.path, max_bytes=limits.max_bytes)
    with _calamine_errors():
        workbook = python_calamine.CalamineWorkbook.from_path(
            str(with_suffix(member.path, f".{kind}"))
        )
        sheets = [
            _read_sheet(workbook, name, member, options, surveys[name])
            for name in workbook.sheet_names
            if name in surveys
        ]
    found = [sheet for sheet in sheets if sheet is not None]
    if not found:
        raise EmptyFileError("No sheet of the workbook holds anything.")
    for sheet in found:
        if len(sheet.fields) > limits.max_columns:
            raise TooManyColumnsError(f"Sheet {sheet.name!r} has {len(sheet.fields)} columns.")
    return [_to_layer(kind, sheet, member, is_only=len(found) == 1) for sheet in found]


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` in sheet order."""
    file = pa.ipc.open_file(pa.memory_map(str(layer.details["path"])))
    batches = (file.get_batch(index) for index in range(file.num_record_batches))
    return pa.RecordBatchReader.from_batches(file.schema, batches)


@contextmanager
def _calamine_errors() -> Iterator[None]:
    """calamine's complaints as ours. Where it did not foresee a broken file it panics, which
    PyO3 passes on as a class that no module has a name for and `Exception` does not cover."""
    try:
        yield
    except python_calamine.PasswordError:
        raise PasswordProtectedError("The workbook is password protected.") from None
    except (python_calamine.CalamineError, *ZIP_ERRORS) as error:
        if getattr(error, "errno", None):  # the disk or a limit, and not the file
            raise
        raise MalformedSpreadsheetError(f"The workbook cannot be opened: {error}.") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise MalformedSpreadsheetError("The workbook is broken.") from error


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """A sheet's table, written to ``path``."""

    name: str
    path: Path
    fields: tuple[Field, ...]
    misfits: tuple[Misfit, ...]
    header_row: int


def _read_sheet(
    workbook: Any, name: str, member: Member, options: ReadOptions, survey: SheetSurvey
) -> _Sheet | None:
    try:
        table = _table(read_pieces(member.path, name, survey))
    except CannotCutError:
        table = _table(_whole(workbook, name, survey))
    if not table.header_row:
        return None
    columns = table.finish(as_text=not options.type_guessing)
    path = member.path.with_name(f"{member.path.stem}.{workbook.sheet_names.index(name)}.arrow")
    _write(path, [column for _, column in columns.values()])
    names = {number: text for number, (text, _) in columns.items()}
    return _Sheet(
        name=name,
        path=path,
        fields=tuple(
            Field(name=text, is_text_to_guess=column.type == pa.string())
            for text, column in columns.values()
        ),
        misfits=tuple(_count_errors(survey, table.header_row, names)),
        header_row=table.header_row,
    )


def _table(blocks: Iterable[Block]) -> SheetTable:
    table = SheetTable()
    for block in blocks:
        table.take(block)
    return table


def _whole(workbook: Any, name: str, survey: SheetSurvey) -> Iterator[Block]:
    """The sheet as one block, which for calamine begins with the first row of all."""
    sheet = workbook.get_sheet_by_name(name)
    if sheet.start is not None:
        rows = _without_errors(sheet, survey)
        yield Block(first_row=1, first_column=sheet.start[1], rows=rows)


def _without_errors(sheet: Any, survey: SheetSurvey) -> Iterator[list[Any]]:
    """The sheet's rows; error cells that come as their text are empty."""
    rows: Iterator[list[Any]] = sheet.iter_rows()
    if not survey.errors_are_text or not survey.errors:
        return rows
    errors = dict[int, list[int]]()
    for row, column in survey.errors:
        errors.setdefault(row, []).append(column - sheet.start[1] - 1)
    return (_emptied(row, errors.get(number, ())) for number, row in enumerate(rows, start=1))


def _emptied(row: list[Any], places: Iterable[int]) -> list[Any]:
    for place in places:
        row[place] = ""
    return row


def _write(path: Path, columns: list[pa.ChunkedArray]) -> None:
    table = pa.table({f"f{index}": column for index, column in enumerate(columns)})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=CHUNK_ROWS)


def _count_errors(survey: SheetSurvey, header_row: int, names: dict[int, str]) -> Iterator[Misfit]:
    """Error cells (``#DIV/0!``, ``#N/A``), which are NULL. ``names``: by column of the sheet."""
    by_column = dict[int, list[int]]()
    for row, column in survey.errors:
        if row > header_row:
            by_column.setdefault(column, []).append(row)
    for column, rows in sorted(by_column.items()):
        yield Misfit(
            column=names.get(column, ""),
            count=len(rows),
            reason="error cells, kept as NULL (the numbers are rows of the sheet)",
            examples=tuple((row, "#ERROR") for row in rows[:EXAMPLES]),
        )


def _to_layer(kind: Format, sheet: _Sheet, member: Member, *, is_only: bool) -> Layer:
    stem = stem_of(member.name)
    notes = []
    if sheet.header_row > 1:
        reason = "the first row that is not empty"
        notes.append(Decision(subject="header", choice=f"row {sheet.header_row}", reason=reason))
    return Layer(
        name=sheet.name,
        member=member,
        format=kind,
        fields=sheet.fields,
        details={"path": str(sheet.path)},
        decisions=tuple(notes),
        misfits=sheet.misfits,
        table_name=stem if is_only else f"{stem}_{sheet.name}",
    )
