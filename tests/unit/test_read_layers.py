"""Which layers of a file are followed, and what is said of the others."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from synctables.errors import (
    EmptyFileError,
    HtmlRefusedError,
    LayerDisappearedError,
    MalformedCsvError,
    RunError,
    TooManyLayersError,
    UnsupportedFileError,
)
from synctables.importer.model import Limits
from tests.support.reading import FILES, read_bytes, read_sample, rows_of

if TYPE_CHECKING:
    from pathlib import Path

HTML = b"<html></html>"
PDF = b"%PDF-1.7"
RUBBLE = b"a,b,c\n" + b"".join(b"x" + b",y" * (row % 9) + b"\n" for row in range(200))
A, B, EMPTY = b"a,b\n1,2\n", b"c,d\n3,4\n", b"e,f\n"


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("files", "options", "names"),
    [
        pytest.param({"b.csv": B, "a.csv": A}, {}, ["a"], id="the first by name"),
        pytest.param({"a.csv": EMPTY, "b.csv": B}, {}, ["b"], id="the first that holds rows"),
        pytest.param({"a.csv": EMPTY}, {}, ["a"], id="an empty one where there is no other"),
        pytest.param({"a.csv": A, "b.csv": B}, {"layer": "b"}, ["b"], id="the one that is named"),
        pytest.param({"a.csv": A, "b.csv": EMPTY}, {"layer": "b"}, ["b"], id="named though empty"),
        pytest.param({"a.csv": A, "b.csv": B}, {"every_layer": True}, ["a", "b"], id="all"),
        pytest.param({"a.csv": A, "b.csv": EMPTY, "c.csv": B}, {"every_layer": True}, ["a", "c"],
                     id="all that hold rows"),
        pytest.param({"a.txt": A, "z.csv": B}, {}, ["z"], id="text notes come last"),
        pytest.param({"a": A, "timestamps": B, "z.csv": B}, {}, ["z"], id="text without a suffix"),
        pytest.param({"a": A}, {}, ["a"], id="unless it is alone"),
        pytest.param({"a.pdf": PDF, "a.html": HTML, "z.csv": B}, {}, ["z"], id="no data beside it"),
        pytest.param({"a.csv": RUBBLE, "z.csv": B}, {}, ["z"], id="a broken file beside it"),
        pytest.param({"x/a.csv": A, "y/a.csv": B}, {"every_layer": True}, ["a", "a"],
                     id="the same name in two folders"),
    ],
)  # fmt: skip
def test_follows(
    tmp_path: Path, files: dict[str, bytes], options: dict[str, Any], names: list[str]
) -> None:
    layers = read_bytes(tmp_path, "a.zip", make_zip(files), **options).layers
    assert [layer.name for layer in layers] == names


@pytest.mark.parametrize(
    ("files", "options", "error", "words"),
    [
        pytest.param({"a.csv": A}, {"layer": "b"}, LayerDisappearedError, "It has: a", id="gone"),
        pytest.param({"a.csv": A, "b.csv": RUBBLE}, {"layer": "b"}, MalformedCsvError, "rows",
                     id="gone because it is broken"),
        pytest.param({"a.pdf": PDF}, {}, UnsupportedFileError, "PDF", id="nothing readable"),
        pytest.param({"a.pdf": PDF, "b.csv": RUBBLE}, {}, MalformedCsvError, "rows",
                     id="the broken data rather than the notes"),
        pytest.param({"a.html": HTML}, {}, HtmlRefusedError, "page", id="a page"),
        pytest.param({"a.csv": b""}, {}, EmptyFileError, "empty", id="an empty file"),
        pytest.param({"a.prj": b"GEOGCS"}, {}, UnsupportedFileError, "no data", id="side files"),
    ],
)  # fmt: skip
def test_refuses(
    tmp_path: Path,
    files: dict[str, bytes],
    options: dict[str, Any],
    error: type[RunError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        read_bytes(tmp_path, "a.zip", make_zip(files), **options)


def test_limits_on_layers_and_tables(tmp_path: Path) -> None:
    content = make_zip({f"{letter}.csv": A for letter in "abcde"})
    limits = Limits(max_bytes=1 << 20, max_layers=5, max_tables=3)
    found = read_bytes(tmp_path, "a.zip", content, limits=limits, every_layer=True)
    assert [layer.name for layer in found.layers] == ["a", "b", "c"]
    assert found.left_out == ("d", "e")
    limits = Limits(max_bytes=1 << 20, max_layers=4)
    with pytest.raises(TooManyLayersError):
        read_bytes(tmp_path, "a.zip", content, limits=limits)


def test_one_archive_may_hold_several_formats(tmp_path: Path) -> None:
    names = ["two_folders.kml", "three_layers.gpkg"]
    content = make_zip({**{name: (FILES / name).read_bytes() for name in names}, "z.csv": A})
    layers = read_bytes(tmp_path, "a.zip", content, every_layer=True).layers
    assert [(layer.format, len(rows_of(layer))) for layer in layers] == [
        ("gpkg", 3),
        ("gpkg", 2),
        ("kml", 1),
        ("kml", 2),
        ("csv", 1),
    ]


def test_the_choice_and_what_was_left_out_are_said(tmp_path: Path) -> None:
    content = make_zip({"a.csv": A, "b.csv": B, "c.pdf": PDF})
    (layer,) = read_bytes(tmp_path, "a.zip", content).layers
    said = [(decision.subject, decision.choice) for decision in layer.decisions]
    assert said[:3] == [("archive", "zip"), ("layer", "a"), ("left out", "c.pdf")]


def test_a_named_layer_of_a_geopackage(tmp_path: Path) -> None:
    (layer,) = read_sample(tmp_path, "three_layers.gpkg", layer="notes").layers
    assert rows_of(layer) == [[1, "x"], [2, "y"]]
