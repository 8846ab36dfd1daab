"""Broken and lying files that mutation found: each is refused in our own words, or read rightly."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from synctables.errors import (
    DecompressionError,
    EncodingDetectionError,
    EncodingError,
    LoadError,
    MalformedSpreadsheetError,
    RunError,
    UnsupportedFileError,
)
from synctables.importer import read
from synctables.importer.infer import infer
from synctables.importer.model import ReadOptions
from tests.support import format_files
from tests.support.reading import FILES, LIMITS, read_bytes, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CSV = b"name,people\nOslo,700000\nRome,2800000\n"
LATIN = "name,town\nJosé,Málaga\n".encode("latin-1")


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def with_broken_member(name: str, content: bytes, member: str) -> bytes:
    """The archive's directory is whole, the member's own header is not."""
    changed = bytearray(content)
    at = content.index(member.encode()) - 30
    changed[at : at + 4] = b"XXXX"
    return bytes(changed)


def ods(declaration: str) -> bytes:
    return packed(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": f'<?xml version="1.0" encoding="{declaration}"?><x/>'.encode(),
        }
    )


def flatgeobuf_with_a_huge_shape() -> bytes:
    content = bytearray(format_files.flatgeobuf()["cities.fgb"])
    content[-60:-56] = b"\xff\xff\xff\x7f"
    return bytes(content)


def geopackage_with_a_name_in_no_encoding() -> bytes:
    content = format_files.geopackage()["cities.gpkg"]
    return content.replace(b"CREATE TABLE gpkg_contents", b"CREATE TABLE gpk\xff_contents")


def xls(length: int) -> bytes:
    return (FILES / "cities.xls").read_bytes()[:length]


BROKEN: dict[str, tuple[str, Callable[[], bytes], type[RunError]]] = {
    "an open document with a broken member": (
        "a.ods",
        lambda: with_broken_member("a.ods", format_files.ods()["cities.ods"], "mimetype"),
        MalformedSpreadsheetError,
    ),
    "an open document in an encoding that nobody knows": (
        "a.ods", lambda: ods("nonsense"), MalformedSpreadsheetError,
    ),
    "an old workbook without its end": ("a.xls", lambda: xls(2_100), MalformedSpreadsheetError),
    "a GeoPackage with names in no encoding": (
        "a.gpkg", geopackage_with_a_name_in_no_encoding, UnsupportedFileError,
    ),
    "a FlatGeobuf that is broken behind its header": (
        "a.fgb", flatgeobuf_with_a_huge_shape, LoadError,
    ),
    "UTF-16 without a mark that ends within a character": (
        "a.csv", lambda: "a,b\n1,2\n".encode("utf-16-le") * 20 + b"x", EncodingDetectionError,
    ),
    "an object whose type is a list": (
        "a.geojson", lambda: b'{"type": [[]]}', UnsupportedFileError,
    ),
    "half a character in JSON": ("a.json", lambda: b'[{"a": "\\ud83d"}]', EncodingError),
    "half a character in a key": ("a.json", lambda: b'[{"\\ud83d": 1}]', EncodingError),
    "half a character in a list": ("a.json", lambda: b'[{"a": ["\\ud83d"]}]', EncodingError),
    "a zip of its first four bytes": ("a.zip", lambda: b"PK\3\4", DecompressionError),
    "a value inside 900 lists": (
        "a.json", lambda: b'[{"a": ' + b"[" * 900 + b"]" * 900 + b"}]", LoadError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_refuses(tmp_path: Path, what: str) -> None:
    name, make, error = BROKEN[what]
    with pytest.raises(error) as refusal:
        read_all(tmp_path, name, make())
    assert str(refusal.value) != error.title


def read_all(folder: Path, name: str, content: bytes) -> None:
    layers = read_bytes(folder, name, content)
    infer(
        layers, read.open_batches, ReadOptions(),
        into=folder, limits=LIMITS, on_rows=lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst", "lz4", "br", "arrow", "utf8"])
def test_text_is_text_whatever_its_name_says(tmp_path: Path, suffix: str) -> None:
    """Libraries take the first few for compressed files, by their names."""
    (layer,) = read_bytes(tmp_path, f"cities.{suffix}", CSV).layers
    assert len(rows_of(layer)) == 2


@pytest.mark.parametrize("suffix", ["utf8", "mended"])
def test_a_copy_that_a_reader_makes_overwrites_no_member(tmp_path: Path, suffix: str) -> None:
    files = {f"towns.{suffix}": b"name\nOslo\n", "towns.csv": LATIN}
    (layer,) = read_bytes(tmp_path, "a.zip", packed(files), layer="towns").layers
    assert rows_of(layer) == [["José", "Málaga"]]


@pytest.mark.parametrize("said", [b"hex", b"bz2", b"a\0b", b"undefined", b"nonsense"])
def test_a_shapefile_whose_encoding_is_none_is_read_all_the_same(
    tmp_path: Path, said: bytes
) -> None:
    files = {**format_files.shapefile(), "cities.cpg": said}
    (layer,) = read_bytes(tmp_path, "cities.zip", packed(files)).layers
    assert [row[0] for row in rows_of(layer)] == ["Oslo", "Köln"]
