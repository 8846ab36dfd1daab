"""Guessing how delimited text is written, from its beginning.

DuckDB's own sniffer over the whole file costs more than reading it (1.9 s and 600 MB for 245 MB;
the check below 0.2 s), so the guess comes from the first records, and the *whole* file then
confirms it: every record is parsed with it and those that do not fit are counted (`delimited`).

A candidate is scored by consistency (the share of records with the usual number of cells), by
cells (numbers, dates and words rather than fragments), and by how many columns it finds, in the
manner of van den Burg, Nazábal and Sutton, "Wrangling messy CSV files by detecting row and type
patterns" (2019).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from pathlib import Path

from synctables.errors import EmptyFileError
from synctables.importer.read.records import (
    ONE_COLUMN,
    Dialect,
    Record,
    is_lone,
    split_records,
)
from synctables.importer.read.repair import Columns, repair

SAMPLE_RECORDS = 1_000
SAMPLE_CHARACTERS = 512 * 1024
DELIMITERS = (",", ";", "\t", "|", "^", "~", ":", " ")
RARE_DELIMITERS = ("^", "~", ":")
LONG_DELIMITERS = ("||", "::", ";;", "\t\t", "\\t", "|~|", "<>", " | ", ", ", "; ")
MAX_PREAMBLE_RECORDS = 100
MAX_HEADER_RECORDS = 4
_MISSING = frozenset(("na", "n/a", "nan", "null", "none", "nil", "missing", "unknown", "nd", "n/d"))

_NUMBER = re.compile(r"[+-]?(\d{1,3}([., ]\d{3})+|\d+)?([.,]\d+)?([eE][+-]?\d+)?\s*%?$")
_DECIMAL = re.compile(r"-?\d*\.?\d+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?.{0,6})?$")
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")
_WORDS = re.compile(r"[^,;\t|\"]+$")
_YEAR = re.compile(r"(1[5-9]|20|21)\d\d$")


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A dialect, the names in the header (none without one), and the number of columns."""

    dialect: Dialect
    header: tuple[str, ...]
    header_records: int
    """Records that the header takes: usually one, none without one."""
    width: int
    agreement: float
    """The share of records that have the usual number of cells, if not the header's."""
    rows: tuple[list[str], ...]
    """Cells of the first records behind the header."""

    @property
    def columns(self) -> Columns | None:
        """Forms of the cells by column, where the records are regular enough to tell."""
        rows = [row for row in self.rows if not is_lone(row)]
        return Columns(rows, width=self.width) if rows and self.agreement >= 0.6 else None

    def decimal_columns(self) -> list[int]:
        """Columns in which all values of the first records are numbers, some with a point."""
        columns = zip_longest(*self.rows, fillvalue="")
        cells = [[cell for cell in column if cell] for column in columns][: self.width]
        return [
            index
            for index, values in enumerate(cells)
            if any("." in cell for cell in values) and all(map(_DECIMAL.fullmatch, values))
        ]

    @property
    def is_regular(self) -> bool:
        return self.agreement >= 0.9


def guess_dialect(path: Path) -> Guess:
    """The dialect that fits the beginning of a UTF-8 file best.

    Raises `EmptyFileError` for a file of nothing but blank lines.
    """
    sample = _read_sample(path)
    skip = next((i for i, line in enumerate(sample) if line.strip()), None)
    if skip is None:
        raise EmptyFileError("The file holds nothing but blank lines.")
    best, best_score = Dialect(delimiter=ONE_COLUMN, skip_lines=skip), 0.0
    long = ""
    for mark in _find_delimiters(sample):
        if mark in long:
            continue
        dialect = replace(find_quoting(sample, mark), skip_lines=skip)
        records = _records(sample, dialect)
        score = _score(records[find_preamble(records) :], dialect)
        if score > 0 and _is_prose(records, dialect):
            score = 0.0
        if score > best_score:
            best, best_score = dialect, score
            long = mark if len(mark) > 1 else long
    return _complete(best, _records(sample, best))


def _find_delimiters(sample: list[str]) -> list[str]:
    """Those that stand in a good part of the first lines, longer ones first among equals."""
    lines = [line for line in sample[:200] if line.strip()]
    marks = (*LONG_DELIMITERS, *DELIMITERS)
    return [mark for mark in marks if sum(mark in line for line in lines) >= 0.3 * len(lines)]


def find_quoting(sample: list[str], delimiter: str) -> Dialect:
    """How cells are quoted: the mark that encloses most cells, and how it is escaped inside.

    Single quotes are also apostrophes and feet: they count if they enclose a delimiter, or a cell
    in half of the lines.
    """
    lines, mark = sample[:SAMPLE_RECORDS], re.escape(delimiter)
    single, double = (_count_enclosed(lines, mark, quote, inside="") for quote in ("'", '"'))
    is_single = single > 5 * double and (
        single >= len(lines) / 2 or _count_enclosed(lines, mark, "'", inside=mark) > 0
    )
    quote = "'" if is_single else '"'
    escaped = _count(lines, f"[^{mark}\\\\]\\\\{quote}(?!{mark}|\\s*$)")
    doubled = _count(lines, f"[^{mark}{quote}]{quote}{quote}[^{mark}{quote}\\s]")
    return Dialect(delimiter=delimiter, quote=quote, escape="\\" if escaped > doubled else "")


def _count_enclosed(lines: list[str], mark: str, quote: str, *, inside: str) -> int:
    """How many cells stand in quotes, and hold ``inside``; ``mark`` is a pattern.

    The quantifiers are possessive: a long line with an unclosed quote takes linear time.
    """
    text = f"[^{quote}\r\n]*+"
    before = f"[^{quote}{mark}\r\n]*+" if inside else ""
    return _count(lines, f"(?:^|{mark}){quote}{before}{inside}{text}{quote}(?={mark}|\r|\n|$)")


def _count(lines: list[str], pattern: str) -> int:
    compiled = re.compile(pattern)
    return sum(len(compiled.findall(line)) for line in lines)


def find_preamble(records: list[Record]) -> int:
    """How many records at the top are not yet the table: titles and notes over it."""
    widths = Counter(len(record.cells) for record in records)
    if not records or (width := max(widths, key=lambda one: (widths[one], one))) < 2:
        return 0
    for index, record in enumerate(records[:MAX_PREAMBLE_RECORDS]):
        filled = sum(bool(cell.strip()) for cell in record.cells)
        is_title = len(record.cells) < width / 2 or (len(record.cells) == 1 and width == 2)
        is_apart = records[index + 1 : index + 2] and records[index + 1].follows_blank
        is_note = len(record.cells) < width and bool(is_apart)
        if not (is_title or is_note or (filled <= 1 and width >= 3)):
            return index
    return 0


def _is_prose(records: list[Record], dialect: Dialect) -> bool:
    """One heading word over text whose commas are punctuation makes a table of one column."""
    top = [record.cells for record in records[: find_preamble(records)]]
    if not top or any(len(cells) > 1 for cells in top) or " " in top[0][0].strip():
        return False
    below = records[len(top) :]
    if any(record.follows_blank for record in records[1 : len(top) + 1]):
        return False
    is_punctuation = all(cell[:1] == " " for record in below for cell in record.cells[1:])
    is_narrow = all(len(record.cells) <= 2 for record in below)
    return is_narrow or is_punctuation or dialect.delimiter.endswith(" ")


def _complete(dialect: Dialect, records: list[Record]) -> Guess:
    preamble = 0 if dialect.is_one_column else find_preamble(records)
    if preamble:
        dialect = replace(dialect, skip_lines=records[preamble].line - 1)
        records = records[preamble:]
    with_header = has_header(records)
    rows = [record.cells for record in records]
    width, usual = Counter(map(len, rows[1:] or rows)).most_common(1)[0]
    agreement = usual / len(rows[1:] or rows)
    header_records = count_header_records(rows, width) if with_header else 0
    header = _name_columns(records[0], rows[:header_records], dialect, width)
    if len(rows) > 3 and agreement >= 0.9 and len(header) > width:
        header = _drop_nameless(header, width)
    return Guess(
        dialect=replace(dialect, has_header=with_header),
        header=tuple(header),
        header_records=header_records,
        width=max(width, len(header) if with_header else len(rows[0])),
        agreement=agreement,
        rows=tuple(rows[header_records:]),
    )


def _name_columns(first: Record, rows: list[list[str]], dialect: Dialect, width: int) -> list[str]:
    """The names; those of several header records are joined, top to bottom."""
    if len(rows) > 1:
        stacks = zip_longest(*rows, fillvalue="")
        return [" ".join(filter(None, map(str.strip, stack))) for stack in stacks]
    if rows and len(rows[0]) < width and first.raw and not dialect.escape:
        bare = Columns([], width=width)
        line = first.raw.rstrip("\r\n")
        mark, quote = dialect.delimiter, dialect.quote
        return repair(line, [], delimiter=mark, quote=quote, columns=bare) or rows[0]
    return rows[0] if rows else []


def _drop_nameless(header: list[str], width: int) -> list[str]:
    """A header with a delimiter too many has an empty name too many."""
    kept = list(header)
    while len(kept) > width and any(not name.strip() for name in kept):
        kept.pop(next(i for i, name in enumerate(kept) if not name.strip()))
    return kept if len(kept) == width else header


def count_header_records(rows: list[list[str]], width: int) -> int:
    """How many records at the top hold words where at least two columns hold only figures below.

    Spellings of "no value" are not taken for words.
    """
    below = rows[MAX_HEADER_RECORDS : MAX_HEADER_RECORDS + 200]
    figures = [
        index
        for index in range(width)
        if below and all(_is_figure(row[index].strip()) for row in below if len(row) == width)
    ]
    if len(below) < 3 or len(figures) < 2:
        return 1
    count = 1
    for row in rows[1:MAX_HEADER_RECORDS]:
        words = [row[index].strip() for index in figures if len(row) == width]
        if not words or not all(words) or any(_is_figure(w) or is_missing(w) for w in words):
            break
        count += 1
    return count


def is_missing(text: str) -> bool:
    """Whether people write this where there is no value (it stays text all the same)."""
    return text.casefold().strip("<>()[]#.") in _MISSING or not any(map(str.isalnum, text))


def _read_sample(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        text = file.read(SAMPLE_CHARACTERS)
        is_whole = not file.read(1)
    lines = _split_lines(text)
    return lines if is_whole or len(lines) == 1 else lines[:-1]


def _split_lines(text: str) -> list[str]:
    """Lines by LF, CR LF or CR only (``str.splitlines`` knows eight more)."""
    return [line for line in re.split(r"(?<=\n)|(?<=\r)(?!\n)", text) if line]


def _records(sample: list[str], dialect: Dialect) -> list[Record]:
    return list(islice(split_records(sample, dialect), SAMPLE_RECORDS))


def _score(records: list[Record], dialect: Dialect) -> float:
    """0 where the candidate makes no table of at least two columns."""
    if not records:
        return 0.0
    widths = Counter(len(record.cells) for record in records)
    width, usual = widths.most_common(1)[0]
    if len(records[0].cells) == 1 or width == 1:
        return 0.0
    consistency = usual / len(records)
    if len(records[0].cells) != width:
        consistency *= 0.7
    cells = [cell for record in records[:200] for cell in record.cells]
    clean = sum(map(_is_clean, cells)) / len(cells)
    if dialect.delimiter == " " and not _is_space_convincing(records, consistency):
        return 0.0
    if dialect.delimiter in RARE_DELIMITERS and consistency < 1:
        return 0.0
    is_long = len(dialect.delimiter) > 1
    if is_long and not (consistency == 1 and _is_long_convincing(records, dialect)):
        return 0.0
    rarity = 0.5 if dialect.delimiter in RARE_DELIMITERS else 1.0
    return consistency * clean * (width - 1) / width * rarity


def _is_clean(cell: str) -> bool:
    text = cell.strip()
    return bool(
        not text
        or _NUMBER.match(text)
        or _DATE.match(text)
        or _TIME.match(text)
        or _WORDS.match(text)
        or len(text) > 40  # prose holds every delimiter
    )


def _is_long_convincing(records: list[Record], dialect: Dialect) -> bool:
    """Its first character is no delimiter: it is in no cell, or not as often in every record."""
    core = dialect.delimiter.strip(" ")[:1] or dialect.delimiter[0]
    rows = [record.cells for record in records if not record.raw]
    if not any(core in cell for row in rows for cell in row):
        return True
    return len({sum(cell.count(core) for cell in row) for row in rows}) > 1


def _is_space_convincing(records: list[Record], consistency: float) -> bool:
    """Words are separated by spaces too: a regular grid that holds mostly numbers counts, or one
    of at least three columns where nearly every record has something in quotes."""
    quoted = sum(bool(record.raw) for record in records)
    if consistency >= 0.95 and len(records[-1].cells) >= 3 and quoted >= 0.9 * len(records) > 2:
        return True
    cells = [cell for record in records[1:] for cell in record.cells]
    if consistency < 1 or not cells or not all(cells):
        return False
    return sum(bool(_NUMBER.match(cell)) for cell in cells) >= len(cells) / 2


def has_header(records: list[Record]) -> bool:
    """Whether the first record names the columns.

    It does unless it looks like the data below it: some column holds numbers or dates from the
    first record on, and no column begins with a word and goes on with numbers. A row of years
    over numbers is a header all the same.
    """
    if len(records) < 2:
        return True
    first, rest = records[0].cells, records[1:200]
    is_like_data = False
    for index, cell in enumerate(first):
        below = [row.cells[index].strip() for row in rest if index < len(row.cells)]
        below = [value for value in below if value]
        if not below or not all(map(_is_figure, below)):
            continue
        if not _is_figure(cell.strip()):
            return True
        is_like_data = True
    figures = [cell for cell in first if _is_figure(cell.strip())]
    are_years = len(set(figures)) == len(figures) and all(map(_YEAR.match, figures))
    if are_years and len(figures) > 1:
        return True
    return not is_like_data


def _is_figure(text: str) -> bool:
    return bool(text and (_NUMBER.match(text) or _DATE.match(text) or _TIME.match(text)))
