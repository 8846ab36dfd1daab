"""Parameters as clients send them, however they spell and wrap them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from fastapi.responses import JSONResponse
from hypothesis import given
from hypothesis import strategies as st

from synctables.api.bodies import check_texts, parse_body
from synctables.api.jsonp import wrap
from synctables.api.multipart import Event, FieldRead, FileBegun, FileData, MultipartReader
from synctables.api.parameters import (
    ChangeParameters,
    CreateParameters,
    ForceParameters,
    ImportParameters,
    parse,
    parse_id,
)
from synctables.api.uploads import clean_file_name
from synctables.errors import InvalidRequestError, UnknownItemError
from synctables.importer.model import ColumnType
from synctables.syncs.model import Accept, OnEmpty, SchemaPolicy

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (JSON, b"", {}),
        (JSON, b"  \r\n", {}),
        (JSON, b'{"a": 1}', {"a": 1}),
        ("application/json; charset=utf-8", b'{"a": 1}', {"a": 1}),
        ("application/vnd.api+json", b'{"a": 1}', {"a": 1}),
        ("APPLICATION/JSON", b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ("", b'{"a": 1}', {"a": 1}),
        ("text/plain", b' {"a": 1}', {"a": 1}),
        (FORM, b"a=1&b=x+y%20z&c=", {"a": "1", "b": "x y z", "c": ""}),
        (FORM, b'{"a": 1}', {"a": 1}),
        (FORM, b"a=1&a=2", {"a": "2"}),
        (
            MULTIPART,
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
            {"a": "1"},
        ),
    ],
)
def test_a_body_is_read_whatever_its_wrapping(
    content_type: str, body: bytes, expected: dict[str, Any]
) -> None:
    assert parse_body({"content-type": content_type}, body) == expected


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b"null"),
        (JSON, b"3"),
        (JSON, b'"url"'),
        (JSON, b"url=x"),
        (JSON, b"\xff\xfe"),
        (JSON, b'{"a": NaN}'),
        (JSON, b'{"a": ' + b"9" * 5000 + b"}"),
        (JSON, b'{"a": ' + b"[" * 100_000),
        (JSON, b'{"a": ' * 100_000),
        (FORM, b"[1]"),
        (FORM, b"\xff=1"),
        ("application/xml", b"<a/>"),
        ("multipart/form-data", b"x"),
        ("multipart/mixed; boundary=b", b"--b--"),
        (MULTIPART, b"nothing"),
        (MULTIPART, b"--b\r\n"),
        (
            MULTIPART,
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nx\r\n--b--\r\n',
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_body({"content-type": content_type}, body)


@pytest.mark.parametrize(
    "value", ["\x00", "a\x00b", {"a": "\x00"}, {"\x00": 1}, {"a": [{"b": ["\x00"]}]}, "\ud800"]
)
def test_texts_that_no_database_can_hold_are_refused(value: object) -> None:
    with pytest.raises(InvalidRequestError):
        check_texts(value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3600, 3600),
        ("3600", 3600),
        (" 3600 ", 3600),
        (3600.0, 3600),
        ("3600.0", 3600),
        (10**30, 10**30),
        (3600.5, 0),
        ("3600.5", 0),
        ("1e9", 0),
        ("hourly", 0),
        ("٣٦٠٠", 0),
        ("3_600", 0),
        (True, 0),
        (None, 0),
        ("", 0),
        ([], 0),
        ({}, 0),
        (float("inf"), 0),
    ],
)
def test_what_is_no_whole_number_is_below_every_minimum(given: object, expected: int) -> None:
    assert parse(CreateParameters, {"interval": given}).interval == expected


def test_absent_parameters_leave_the_documented_defaults() -> None:
    options = parse(CreateParameters, {}).to_options(minimum_interval_seconds=900)

    assert options.interval_seconds == 3600
    assert (options.type_guessing, options.quoted_fields_guessing) == (True, True)
    assert options.content_guessing is False
    assert options.table_name is None


def test_changes_hold_only_what_was_given_and_is_no_null() -> None:
    changes = parse(
        ChangeParameters,
        {"interval": None, "layer": None, "state": 3, "id": "x", "on_empty": "accept"},
    ).to_changes()

    assert changes.interval_seconds is None
    assert changes.layer is None
    assert changes.on_empty is OnEmpty.ACCEPT


@pytest.mark.parametrize("text", [True, "true", "True", " TRUE "])
def test_true_is_spelled_in_many_ways(text: object) -> None:
    assert parse(ChangeParameters, {"content_guessing": text}).content_guessing is True


@pytest.mark.parametrize("text", [False, "false", "False"])
def test_false_is_spelled_in_many_ways(text: object) -> None:
    assert parse(ChangeParameters, {"type_guessing": text}).type_guessing is False


def test_lists_and_objects_can_be_text() -> None:
    parameters = parse(
        ChangeParameters,
        {
            "key_columns": "id, name,",
            "column_types": '{"code": "Text", "n": "number", "t": "timestamp"}',
            "max_row_loss": "0.5",
            "schema_policy": "FREEZE",
        },
    )

    assert parameters.key_columns == ("id", "name")
    assert parameters.column_types == {
        "code": ColumnType.TEXT,
        "n": ColumnType.NUMERIC,
        "t": ColumnType.TIMESTAMPTZ,
    }
    assert parameters.max_row_loss == 0.5
    assert parameters.schema_policy is SchemaPolicy.FREEZE
    assert parse(ForceParameters, {"accept": "row_loss,html"}).accept == (
        Accept.ROW_LOSS,
        Accept.HTML,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type_guessing", "yes"),
        ("type_guessing", 1),
        ("type_guessing", []),
        ("layer", 3),
        ("layer", "x" * 8001),
        ("key_columns", {}),
        ("key_columns", [1]),
        ("column_types", []),
        ("column_types", "text"),
        ("column_types", {"a": "geometry"}),
        ("column_types", {"a": 3}),
        ("schema_policy", "sometimes"),
        ("max_row_loss", 1.5),
        ("max_row_loss", -0.1),
        ("max_row_loss", "nan"),
        ("max_row_loss", True),
        ("max_row_loss", "most"),
        ("on_empty", "maybe"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(name: str, value: object) -> None:
    for model in (CreateParameters, ChangeParameters, ImportParameters):
        with pytest.raises(InvalidRequestError, match=name):
            parse(model, {name: value})


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"url": "  "},
        {"url": "https://x/", "service_name": "gdrive"},
        {"url": "https://x/", "service_name": {}},
        {"url": "https://x/", "connector": {"provider": "postgres"}},
        {"url": "https://x/", "remote_visualization_id": "1"},
    ],
)
def test_a_source_of_a_later_version_or_none_is_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        parse(CreateParameters, parameters).require_source()


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"sql": "select 1"}, "sql"),
        ({"table_copy": "parks"}, "table_copy"),
        ({"connector": {}, "url": "https://x/"}, "connector"),
        ({"service_item_id": 3}, "service_item_id field should be empty or a string"),
        ({"privacy": "secret"}, "Unknown value 'secret' for 'privacy'"),
    ],
)
def test_an_import_that_is_not_supported_is_refused_by_name(
    parameters: dict[str, object], text: str
) -> None:
    with pytest.raises(InvalidRequestError, match=text):
        parse(ImportParameters, parameters).check()


def test_privacy_and_collision_strategy_take_the_documented_values() -> None:
    for privacy in ("public", "PRIVATE", "link"):
        parse(ImportParameters, {"privacy": privacy}).check()
    for strategy in ("skip", "overwrite"):
        parse(ImportParameters, {"collision_strategy": strategy}).check()
    with pytest.raises(InvalidRequestError, match="collision_strategy"):
        parse(ImportParameters, {"collision_strategy": "merge"})


@pytest.mark.parametrize(
    "text", ["", "1", "{8d6f0d8e-8c35-4b62-9f0b-0a3f5d2f6b10}", "urn:uuid:x", "\x00", "é" * 36]
)
def test_what_is_no_id_is_unknown(text: str) -> None:
    with pytest.raises(UnknownItemError):
        parse_id(text, what="import")


FORM_BODY = (
    b'--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nk\xc3\xa9y\r\n'
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="p\xc3\xa4rk.csv"\r\n'
    b"Content-Type: text/csv\r\n\r\na,b\r\n--b-not\r\n1,2\r\n"
    b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="2.csv"\r\n\r\nno\r\n'
    b'--b\r\nContent-Disposition: form-data; name="layer"\r\n\r\nL\r\n--b--\r\n'
)


@given(st.lists(st.integers(1, len(FORM_BODY) - 1)))
def test_a_multipart_form_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader = MultipartReader(MULTIPART, max_fields_bytes=100)
    edges = [0, *sorted(cuts), len(FORM_BODY)]
    events: list[Event] = []
    for start, end in itertools.pairwise(edges):
        events += reader.feed(FORM_BODY[start:end])
    reader.finish()

    assert [event for event in events if not isinstance(event, FileData)] == [
        FieldRead("api_key", "kéy"),
        FileBegun("pärk.csv"),
        FieldRead("layer", "L"),
    ]
    content = b"".join(event.content for event in events if isinstance(event, FileData))
    assert content == b"a,b\r\n--b-not\r\n1,2\r\n"


@pytest.mark.parametrize("length", range(0, len(FORM_BODY) - 2, 7))
def test_a_multipart_form_that_is_cut_off_is_refused(length: int) -> None:
    reader = MultipartReader(MULTIPART, max_fields_bytes=100)
    reader.feed(FORM_BODY[:length])
    with pytest.raises(InvalidRequestError):
        reader.finish()


def test_form_fields_cannot_fill_the_memory() -> None:
    with pytest.raises(InvalidRequestError, match="too long"):
        MultipartReader(MULTIPART, max_fields_bytes=3).feed(FORM_BODY)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("parks.csv", "parks.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\parks.csv", "parks.csv"),
        ("/", "upload"),
        ("..", "upload"),
        ("", "upload"),
        ("a\x00b\n.csv", "ab.csv"),
        ("ä" * 300 + ".csv", "ä" * 196 + ".csv"),
        ("y" * 300, "y" * 200),
    ],
)
def test_a_file_name_is_only_a_name(name: str, expected: str) -> None:
    assert clean_file_name(name) == expected


def test_a_jsonp_answer_is_a_call_that_old_browsers_can_read() -> None:
    wrapped = wrap(JSONResponse({"name": "a\u2028b"}), "f")

    assert wrapped.body == b'/**/f({"name":"a\\u2028b"});'
    assert wrapped.media_type == "text/javascript"
