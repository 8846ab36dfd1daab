"""Delimited text: CSV, TSV and their kin, as one layer of text columns.

The empty cell is NULL, quoted or not: writers quote by habit, and the same table would differ
from one export to the next if ``""`` meant something else than nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from synctables.errors import MalformedCsvError, TooManyColumnsError
from synctables.importer.engine import connect
from synctables.importer.model import (
    Decision,
    Field,
    Layer,
    Limits,
    Member,
    Misfit,
    ReadOptions,
)
from synctables.importer.read.dialect import Guess, guess_dialect
from synctables.importer.read.encoding import Decoded, decode_file
from synctables.importer.read.long_lines import refuse_long_line
from synctables.importer.read.mend import Shape, is_foreign, mend
from synctables.importer.read.names import stem_of
from synctables.importer.read.records import (
    ONE_COLUMN,
    Dialect,
    find_quoted,
    is_lone,
    split_records,
)

BATCH_ROWS = 65_536
LINE_BYTES = 16 * 1024 * 1024
FOOTER_BYTES = 64 * 1024
BUFFER_BYTES = 32 * 1024 * 1024
"""Left alone, DuckDB takes sixteen times the longest line for a buffer: 256 MB, several times."""

_DELIMITER_NAMES = {
    ",": "comma",
    ";": "semicolon",
    "\t": "tab",
    "|": "bar",
    " ": "space",
    ":": "colon",
    ", ": "comma and space",
    "; ": "semicolon and space",
    "\t\t": "two tabs",
}


def find_layers(member: Member, options: ReadOptions, limits: Limits) -> list[Layer]:
    """The one layer of a delimited file.

    Raises `EncodingDetectionError`, `MalformedCsvError` (most rows do not fit) and
    `TooManyColumnsError`.
    """
    decoded = decode_file(member.path, scratch=member.path.with_suffix(".utf8"))
    refuse_long_line(decoded.path)
    guess = guess_dialect(decoded.path)
    if guess.width > limits.max_columns:
        raise TooManyColumnsError(
            f"The file has {guess.width} columns; a table can have {limits.max_columns}."
        )
    text = _make_well_formed(member, decoded.path, guess)
    quoted = set[int]()
    if not options.quoted_fields_guessing:
        quoted = find_quoted(decoded.path, guess.dialect)
    layer = Layer(
        name=stem_of(member.name),
        member=member,
        format="csv",
        fields=tuple(_fields(guess, quoted)),
        details={"path": str(text.path), **asdict(text.dialect)},
        decisions=tuple(_describe(decoded, guess)),
        misfits=decoded.misfits + text.misfits,
        table_name=stem_of(member.name),
    )
    return [layer]


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` as text columns, in file order."""
    details = dict(layer.details)
    path = Path(str(details.pop("path")))
    dialect = Dialect(**cast("dict[str, Any]", details))
    width = len(layer.fields)
    schema = pa.schema([(f"f{index}", pa.string()) for index in range(width)])
    return pa.RecordBatchReader.from_batches(schema, _stream(path, dialect, width))


@dataclass(frozen=True, kw_only=True)
class _WellFormed:
    """A file that DuckDB reads without a complaint, its dialect, and what had to be mended."""

    path: Path
    dialect: Dialect
    misfits: tuple[Misfit, ...] = ()


def _make_well_formed(member: Member, path: Path, guess: Guess) -> _WellFormed:
    if _is_clean(path, guess):
        return _WellFormed(path=path, dialect=guess.dialect)
    shape = Shape(
        width=guess.width,
        header=guess.header,
        header_records=guess.header_records,
        columns=guess.columns,
    )
    copy = member.path.with_suffix(".mended")
    mended = mend(path, into=copy, dialect=guess.dialect, shape=shape)
    if mended.broken_count > mended.record_count / 2 and not guess.is_regular:
        raise MalformedCsvError(
            f"{mended.broken_count} of {mended.record_count} rows do not have the "
            f"{guess.width} cells of the header."
        )
    dialect = Dialect(
        delimiter=ONE_COLUMN if guess.dialect.is_one_column else ",",
        has_header=guess.dialect.has_header,
    )
    return _WellFormed(path=copy, dialect=dialect, misfits=mended.misfits)


def _is_clean(path: Path, guess: Guess) -> bool:
    """Whether DuckDB can read the file as it is, to the last line."""
    is_plain = len(guess.dialect.delimiter) == 1 and guess.header_records <= 1
    if not is_plain or _ends_in_footer(path, guess):
        return False
    return _is_well_formed(path, guess.dialect, guess.width)


def _ends_in_footer(path: Path, guess: Guess) -> bool:
    """Whether the last line is a note, though delimited like the rows."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - FOOTER_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines(keepends=True)
    last = next((line for line in reversed(lines) if line.strip()), "")
    records = list(split_records([last], replace(guess.dialect, skip_lines=0)))
    return (
        bool(records) and is_lone(records[0].cells) and is_foreign(records[0].cells, guess.columns)
    )


def _is_well_formed(path: Path, dialect: Dialect, width: int) -> bool:
    """Whether every record of the file has ``width`` cells and sound quotes."""
    connection = connect(path.parent)
    # DuckDB overlooks one cell too many where it is NULL, so for once nothing is. It stops at the
    # first record it rejects; storing rejects instead takes quadratic time on a very wide record.
    scan = _scan_sql(path, dialect, width, extra="nullstr='\x1d\x1e'")
    try:
        connection.sql(f"SELECT count(*) FROM {scan}").fetchall()  # noqa: S608
    except (
        *(duckdb.InvalidInputException, duckdb.ConversionException),
        duckdb.NotImplementedException,  # a record of many megabytes
    ):
        return False
    finally:
        connection.close()
    return True


def _stream(path: Path, dialect: Dialect, width: int) -> Iterator[pa.RecordBatch]:
    connection = connect(path.parent)
    try:
        names = ", ".join(f"f{index}" for index in range(width))
        scan = _scan_sql(path, dialect, width)
        yield from connection.sql(f"SELECT {names} FROM {scan}").to_arrow_reader(BATCH_ROWS)  # noqa: S608
    except (duckdb.InvalidInputException, OSError) as error:
        reason = str(error).splitlines()[0]
        if "CSV Error" not in reason:
            raise
        raise MalformedCsvError(f"The rows cannot be told apart: {reason}") from error
    finally:
        connection.close()


def _scan_sql(path: Path, dialect: Dialect, width: int, *, extra: str = "") -> str:
    """DuckDB's table function for this file; nothing is left to its own sniffer."""
    columns = ", ".join(f"'f{index}': 'VARCHAR'" for index in range(width))
    arguments = [
        _quote(str(path)),
        "auto_detect=false",
        f"delim={_quote(dialect.delimiter)}",
        f"quote={_quote(dialect.quote)}",
        f"escape={_quote(dialect.escape or dialect.quote)}",
        "comment=''",
        f"header={str(dialect.has_header).lower()}",
        f"skip={dialect.skip_lines}",
        f"max_line_size={LINE_BYTES}",
        f"buffer_size={BUFFER_BYTES}",
        f"columns={{{columns}}}",
        *([extra] if extra else []),
    ]
    return f"read_csv({', '.join(arguments)})"


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _fields(guess: Guess, quoted: set[int]) -> Iterator[Field]:
    names = [name.strip() for name in guess.header]
    for index in range(guess.width):
        name = names[index] if index < len(names) else ""
        yield Field(name=name, is_text_to_guess=True, is_quoted=index in quoted)


def _describe(decoded: Decoded, guess: Guess) -> Iterator[Decision]:
    mark = guess.dialect.delimiter
    name = "none: one column" if guess.dialect.is_one_column else _DELIMITER_NAMES.get(mark, mark)
    yield Decision(subject="encoding", choice=decoded.encoding, reason=decoded.reason)
    yield Decision(subject="delimiter", choice=name, reason=f"{guess.width} columns")
    if guess.dialect.skip_lines:
        reason = "titles, notes and blank lines are not rows"
        choice = f"{guess.dialect.skip_lines} lines"
        yield Decision(subject="left out before the table", choice=choice, reason=reason)
    if guess.header_records > 1:
        reason = "words over columns of figures; the names are joined"
        yield Decision(subject="header", choice=f"{guess.header_records} rows", reason=reason)
    if not guess.dialect.has_header:
        reason = "the first row looks like the rows below it"
        yield Decision(subject="header", choice="none", reason=reason)
