"""Delimited text without quotes: Arrow and DuckDB give the same rows."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from synctables.importer.model import Field, Layer, Member
from synctables.importer.read.delimited import open_batches

CELLS = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n,\0'), max_size=4)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(2, 4))
    return draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=9))


@given(tables(), st.booleans(), st.integers(0, 2), st.booleans())
def test_both_readers_give_the_same_rows(
    table: list[list[str]], has_header: bool, blank_lines: int, has_end: bool
) -> None:
    lines = [",".join(row) for row in [["head"] * len(table[0]), *table]]
    text = ("\n" * (blank_lines + 1)).join(lines) + "\n" * has_end
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(text.encode())
        dialect = {"delimiter": ",", "has_header": has_header}
        layer = Layer(
            name="data",
            member=Member(name=path.name, path=path, size_bytes=path.stat().st_size),
            format="csv",
            fields=tuple(Field(name="") for _ in table[0]),
            details={"path": str(path), "dialect": dialect, "is_quoteless": True},
            table_name="data",
        )
        by_arrow = open_batches(layer).read_all()
        by_duckdb = open_batches(replace(layer, details=layer.details | {"is_quoteless": False}))
        assert by_arrow.to_pydict() == by_duckdb.read_all().to_pydict()
