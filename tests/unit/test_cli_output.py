"""What reaches the terminal."""

from __future__ import annotations

import pytest

from synctables.cli.imports import describe_import
from synctables.cli.output import print_fields, print_table, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("bell\a and \x9b2J", "bell and 2J"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_text_of_other_people_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_table_without_a_terminal_is_tabs_and_never_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = "https://example.org/" + "a" * 500
    print_table(("Name", "Source"), [("airports", long), (None, "x\ty")])
    assert capsys.readouterr().out == f"name\tsource\nairports\t{long}\n-\tx y\n"


def test_fields_without_a_terminal_are_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("state", "success"), ("is_it", True), ("keys", ["a", "b"]), ("none", None)])
    assert capsys.readouterr().out == 'state\tsuccess\nis_it\tyes\nkeys\t["a", "b"]\nnone\t-\n'


@pytest.mark.parametrize(
    ("tables", "rejected", "line"),
    [
        (1, [], "Imported a."),
        (2, [], "Imported a and 1 more table."),
        (26, ["S26", "S27"], "Imported a and 25 more tables. "
         "Left out, since 26 tables are the most: S26, S27."),
    ],
)  # fmt: skip
def test_an_import_says_all_that_became_of_the_file(
    tables: int, rejected: list[str], line: str
) -> None:
    warnings = {"rejected_layers": rejected, "max_tables_per_import": 26} if rejected else None
    item = {"table_name": "a", "tables_created_count": tables, "warnings": warnings}
    assert describe_import(item, "a.zip") == line
