"""Column names from headers and table names from file names (reference.md 3.8 and 3.9)."""

from __future__ import annotations

import pytest

from synctables.errors import TableNameError
from synctables.importer.infer.names import column_base_name, column_names
from synctables.importer.table_names import first_free, table_base_name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("2abc", "_2abc"),
        ("Date Due", "date_due"),
        ("__5", "_5"),
        ("teléfono", "telefono"),
        ("as", "_as"),
        ("description/名稱", "description"),
        ("> min", "min"),
        ("12_ schedule of visits.0", "_12_schedule_of_visits_0"),
        ("неустановленный", "neustanovlennyj"),
        ("щука", "shhuka"),
        ("подъезд", "podezd"),
        ("Ёж", "yozh"),
        ("<b>Bold</b> text", "bold_text"),
        ("a &amp; b", "a_b"),
        ("  spaced  out  ", "spaced_out"),
        ("a--b", "a_b"),
        ("ending-", "ending"),
        ("ending_", "ending_"),
        ("Straße", "strasse"),
        ("smørrebrød", "smorrebrod"),
        ("te\u0301le\u0301fono", "telefono"),
        ("SELECT", "_select"),
        ("ctid", "_ctid"),
        ("format", "_format"),
        ("name", "name"),
        ("x" * 70, "x" * 63),
        ("9" * 70, "_" + "9" * 62),
    ],
)
def test_headers_become_names_as_in_the_reference(header: str, name: str) -> None:
    assert column_base_name(header, position=1) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("名稱", "mingcheng"),
        ("名稱 2", "mingcheng_2"),
        ("Θερμοκρασία", "thermokrasia"),
        ("인구", "ingu"),
    ],
)
def test_scripts_that_the_reference_erases_are_transliterated(header: str, name: str) -> None:
    assert column_base_name(header, position=1) == name


@pytest.mark.parametrize("header", ["", "   ", "???", "-", "<br>"])
def test_a_header_without_anything_in_it_is_named_by_its_position(header: str) -> None:
    assert column_base_name(header, position=7) == "field_7"


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        (["abc", "Abc", "aBc", "ABC"], ["abc", "abc_1", "abc_2", "abc_3"]),
        (["description/名稱", "description"], ["description", "description_1"]),
        (["a", "a_1", "a"], ["a", "a_1", "a_2"]),
        (["", "field_1"], ["field_1", "field_1_1"]),
        (["the_geom", "cartodb_id"], ["the_geom_1", "cartodb_id_1"]),
        (["the_geom_webmercator"], ["the_geom_webmercator_1"]),
        (["x" * 80, "x" * 90], ["x" * 63, "x" * 61 + "_1"]),
    ],
)
def test_equal_names_are_numbered_in_file_order(headers: list[str], names: list[str]) -> None:
    assert list(column_names(headers)) == names


def test_names_of_earlier_columns_are_not_given_again() -> None:
    assert column_names(["Price"], taken=["price"]) == ("price_1",)


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("clubbing.csv", "clubbing"),
        ("ok_data.csv.gz", "ok_data"),
        ("Weird Filename (2).csv", "weird_filename_2"),
        ("2014 elections.csv", "table_2014_elections"),
        ("_private.csv", "table_private"),
        ("mañana.csv", "ma_ana"),
        ("TM_WORLD_BORDERS_SIMPL-0.3.shp", "tm_world_borders_simpl_0_3"),
        ("public.csv", "public_t"),
        ("select.csv", "select_t"),
        ("spatial_ref_sys.csv", "spatial_ref_sys_t"),
        ("", "untitled_table"),
        ("!!!.csv", "untitled_table"),
        ("名稱.csv", "mingcheng"),
        ("folder/districts.geojson", "districts"),
        ("a" * 80 + ".csv", "a" * 63),
        (".csv", "table_csv"),
    ],
)
def test_file_names_become_table_names(file_name: str, name: str) -> None:
    assert table_base_name(file_name) == name


def test_the_first_free_table_name_is_numbered() -> None:
    assert first_free("clubbing", {"clubbing", "clubbing_1"}) == "clubbing_2"


def test_a_numbered_table_name_is_never_longer_than_postgresql_allows() -> None:
    assert first_free("a" * 63, {"a" * 63}) == "a" * 61 + "_1"


def test_no_free_table_name_is_an_error() -> None:
    class Everything:
        def __contains__(self, name: object) -> bool:
            return True

    with pytest.raises(TableNameError):
        first_free("clubbing", Everything())
