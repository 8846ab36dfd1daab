"""Delimited text: CSV, TSV and their kin, as one layer of text columns.

The empty cell is NULL, quoted or not: writers quote by habit, and the same table would differ
from one export to the next if ``""`` meant something else than nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
from synctables.importer.read.quoteless import is_quoteless, stream_quoteless
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

_PLAIN = r"'\s*(-?[0-9]+)?\s*'"
"""An integer or nothing, as a pattern in SQL."""

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
    text = _make_well_formed(member, decoded, guess)
    quoted = set[int]()
    if not options.quoted_fields_guessing:
        quoted = find_quoted(decoded.path, guess.dialect)
    layer = Layer(
        name=stem_of(member.name),
        member=member,
        format="csv",
        fields=tuple(_fields(guess, quoted, text.no_numbers)),
        details={
            "path": str(text.path),
            "is_quoteless": text.is_quoteless,
            "dialect": asdict(text.dialect),
        },
        decisions=tuple(_describe(decoded, guess)),
        misfits=decoded.misfits + text.misfits,
        table_name=stem_of(member.name),
    )
    return [layer]


def open_batches(layer: Layer) -> pa.RecordBatchReader:
    """The rows of ``layer`` as text columns, in file order."""
    path = Path(str(layer.details["path"]))
    dialect = Dialect(**cast("dict[str, Any]", layer.details["dialect"]))
    width = len(layer.fields)
    schema = pa.schema([(f"f{index}", pa.string()) for index in range(width)])
    if layer.details["is_quoteless"]:
        batches = stream_quoteless(path, dialect, schema)
    else:
        batches = _stream(path, dialect, width)
    return pa.RecordBatchReader.from_batches(schema, batches)


@dataclass(frozen=True, kw_only=True)
class _WellFormed:
    """A file that DuckDB reads without a complaint, its dialect, and what had to be mended."""

    path: Path
    dialect: Dialect
    misfits: tuple[Misfit, ...] = ()
    no_numbers: frozenset[int] = frozenset()
    """Columns that begin with decimal numbers, and of which some value is none."""
    is_quoteless: bool = False


def _make_well_formed(member: Member, decoded: Decoded, guess: Guess) -> _WellFormed:
    path = decoded.path
    if _may_be_clean(path, guess):
        columns = guess.decimal_columns()
        no_numbers = _check(path, guess.dialect, guess.width, decimal_columns=columns)
        if no_numbers is not None:
            return _WellFormed(
                path=path,
                dialect=guess.dialect,
                no_numbers=no_numbers,
                is_quoteless=is_quoteless(decoded, guess.dialect),
            )
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


def _may_be_clean(path: Path, guess: Guess) -> bool:
    """Whether DuckDB may be able to read the file as it is."""
    is_plain = len(guess.dialect.delimiter) == 1 and guess.header_records <= 1
    return is_plain and not _ends_in_footer(path, guess)


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


def _check(
    path: Path, dialect: Dialect, width: int, *, decimal_columns: Sequence[int]
) -> frozenset[int] | None:
    """Whether every record of the file has ``width`` cells and sound quotes; None: no.

    Else those of the ``decimal_columns`` of which some value is no number. Only values without a
    point are looked at more closely (``1e-05``, ``n/a``), so it costs next to nothing.
    """
    connection = connect(path.parent)
    # DuckDB overlooks one cell too many where it is NULL, so for once nothing is. It stops at the
    # first record it rejects; storing rejects instead takes quadratic time on a very wide record.
    scan = _scan_sql(path, dialect, width, extra="nullstr='\x1d\x1e'")
    found = [
        f"count(CASE WHEN contains(f{index}, '.') THEN NULL "
        f"WHEN regexp_full_match(f{index}, {_PLAIN}) THEN NULL ELSE 1 END)"
        for index in decimal_columns
    ]
    try:
        rows = connection.sql(f"SELECT {', '.join(['count(*)', *found])} FROM {scan}").fetchall()  # noqa: S608
    except (
        *(duckdb.InvalidInputException, duckdb.ConversionException),
        duckdb.NotImplementedException,  # a record of many megabytes
    ):
        return None
    finally:
        connection.close()
    return frozenset(
        index for index, count in zip(decimal_columns, rows[0][1:], strict=True) if count
    )


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


def _fields(guess: Guess, quoted: set[int], no_numbers: frozenset[int]) -> Iterator[Field]:
    names = [name.strip() for name in guess.header]
    for index in range(guess.width):
        name = names[index] if index < len(names) else ""
        yield Field(
            name=name,
            is_text_to_guess=True,
            is_quoted=index in quoted,
            turns_to_text=index in no_numbers,
        )


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
