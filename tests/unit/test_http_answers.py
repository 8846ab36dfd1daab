"""What answers mean: statuses, Retry-After, validators, ranges, codings, pace."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from synctables.datasources.base import SourceVersion
from synctables.datasources.content_coding import coding_of, decode_file
from synctables.datasources.download import Pace
from synctables.datasources.http_errors import parse_retry_after, status_error
from synctables.datasources.representation import Representation, condition_headers, confirms
from synctables.errors import (
    DownloadError,
    DownloadRefusedError,
    FileNotFoundAtSourceError,
    FileTooBigError,
    ForbiddenSourceError,
    PartialFileError,
    RunError,
)

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)
SUNDAY = "Sun, 01 Nov 2026 12:00:00 GMT"
SATURDAY = "Sat, 31 Oct 2026 12:00:00 GMT"

STATUSES: list[tuple[int, type[RunError]]] = [
    (202, DownloadError),
    (206, DownloadRefusedError),
    (300, DownloadRefusedError),
    (302, DownloadRefusedError),
    (304, DownloadRefusedError),
    (400, DownloadRefusedError),
    (401, ForbiddenSourceError),
    (403, ForbiddenSourceError),
    (404, FileNotFoundAtSourceError),
    (405, DownloadRefusedError),
    (407, ForbiddenSourceError),
    (408, DownloadError),
    (410, FileNotFoundAtSourceError),
    (425, DownloadError),
    (429, DownloadError),
    (451, DownloadRefusedError),
    (500, DownloadError),
    (502, DownloadError),
    (503, DownloadError),
    (504, DownloadError),
    (599, DownloadError),
    (999, DownloadError),
]

RETRY_AFTER = [
    (None, None),
    ("", None),
    ("soon", None),
    ("-5", None),
    ("1.5", None),
    ("0", 0),
    ("120", 120),
    (" 120 ", 120),
    ("86400", 86_400),
    ("86401", 86_400),
    ("9" * 400, 86_400),
    ("Sun, 01 Nov 2026 12:02:00 GMT", 120),
    ("Sunday, 01-Nov-26 12:02:00 GMT", 120),
    (SATURDAY, 0),
    ("Mon, 01 Nov 2027 12:00:00 GMT", 86_400),
    ("Sun, 99 Nov 2026 12:00:00 GMT", None),
]

IF_RANGE = [
    ({"ETag": '"v1"'}, '"v1"'),
    ({"ETag": '"v1"', "Last-Modified": SATURDAY, "Date": SUNDAY}, '"v1"'),
    ({"ETag": 'W/"v1"'}, None),
    ({"ETag": 'W/"v1"', "Last-Modified": SATURDAY, "Date": SUNDAY}, None),
    ({"ETag": "v1"}, None),
    ({"Last-Modified": SATURDAY, "Date": SUNDAY}, SATURDAY),
    ({"Last-Modified": SUNDAY, "Date": SUNDAY}, None),
    ({"Last-Modified": SATURDAY}, None),
    ({"Last-Modified": "yesterday", "Date": SUNDAY}, None),
    ({}, None),
]

VALIDATORS = [
    ({"ETag": '"v1"'}, '"v1"', None),
    ({"ETag": 'W/"v1"'}, 'W/"v1"', None),
    ({"ETag": "unquoted"}, "unquoted", None),
    ({"ETag": "*"}, None, None),
    ({"ETag": ""}, None, None),
    ({"ETag": '"na\udcefve"'}, None, None),
    ({"ETag": '"' + "x" * 2_000 + '"'}, None, None),
    ({"Last-Modified": SATURDAY}, None, SATURDAY),
    ({"Last-Modified": "yesterday"}, None, "yesterday"),
    ({"Last-Modified": "vor\u00fcber"}, None, None),
]

CONTINUATIONS = [
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-9/10", "ETag": '"v1"'}, True),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-7/10", "ETag": '"v1"'}, True),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-9/*", "ETag": '"v1"'}, True),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-9/10", "ETag": '"v2"'}, False),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-9/10"}, False),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 4-9/10", "ETag": '"v1"'}, False),
    ({"ETag": '"v1"'}, {"Content-Range": "bytes 5-10/11", "ETag": '"v1"'}, False),
    ({"ETag": '"v1"'}, {"Content-Range": "lines 5-9/10", "ETag": '"v1"'}, False),
    ({"ETag": '"v1"'}, {"ETag": '"v1"'}, False),
    ({"Last-Modified": SATURDAY}, {"Content-Range": "bytes 5-9/10"}, True),
    (
        {"Last-Modified": SATURDAY},
        {"Content-Range": "bytes 5-9/10", "Last-Modified": SUNDAY},
        False,
    ),
]

CONFIRMATIONS = [
    ({}, SourceVersion(etag='"v1"', last_modified=SUNDAY), True),
    ({"ETag": '"v1"'}, SourceVersion(etag='"v1"'), True),
    ({"ETag": 'W/"v1"'}, SourceVersion(etag='"v1"'), True),
    ({"ETag": '"v2"'}, SourceVersion(etag='"v1"'), False),
    (
        {"ETag": '"v1"', "Last-Modified": SUNDAY},
        SourceVersion(etag='"v1"', last_modified=SATURDAY),
        True,
    ),
    ({"Last-Modified": SUNDAY}, SourceVersion(last_modified=SUNDAY), True),
    ({"Last-Modified": SATURDAY}, SourceVersion(last_modified=SUNDAY), False),
    ({"Last-Modified": SATURDAY}, SourceVersion(etag='"v1"'), True),
]

CODINGS = [
    (None, None),
    ("", None),
    ("identity", None),
    ("utf-8", None),
    ("aws-chunked", None),
    ("gzip", "gzip"),
    ("GZip", "gzip"),
    ("x-gzip", "gzip"),
    ("deflate", "deflate"),
    ("aws-chunked, gzip", "gzip"),
]

TEXT = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 50_000
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)

CODED = {
    "gzip": ("gzip", gzip.compress(TEXT), TEXT),
    "two gzip members": ("gzip", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]), TEXT),
    "gzip with padding": ("gzip", gzip.compress(TEXT) + b"\0" * 512, TEXT),
    "gzip of nothing": ("gzip", gzip.compress(b""), b""),
    "gzip of much": ("gzip", gzip.compress(b"\0" * 3_000_000), b"\0" * 3_000_000),
    "gzip in name only": ("gzip", TEXT, TEXT),
    "no bytes": ("gzip", b"", b""),
    "deflate": ("deflate", zlib.compress(TEXT), TEXT),
    "deflate without zlib": ("deflate", RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush(), TEXT),
}

BROKEN = {
    "cut off": gzip.compress(TEXT)[:-9],
    "damaged": gzip.compress(TEXT)[:500] + b"x" * 99,
}


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_each_status_has_its_error(status: int, expected: type[RunError]) -> None:
    error = status_error(status, address="http://h/a", retry_after="60", now=NOW)
    assert type(error) is expected
    assert error.http_status == status
    assert str(error).startswith(f"http://h/a answered {status}")
    if isinstance(error, DownloadError):
        assert error.retry_after_seconds == 60


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(
    header: str | None, seconds: int | None
) -> None:
    assert parse_retry_after(header, now=NOW) == seconds


@pytest.mark.parametrize(("headers", "validator"), IF_RANGE)
def test_only_a_strong_validator_allows_to_resume(
    headers: dict[str, str], validator: str | None
) -> None:
    assert Representation.of(headers).if_range == validator


@pytest.mark.parametrize(("headers", "etag", "last_modified"), VALIDATORS)
def test_validators_are_kept_verbatim_or_not_at_all(
    headers: dict[str, str], etag: str | None, last_modified: str | None
) -> None:
    version = Representation.of(headers).version
    assert (version.etag, version.last_modified) == (etag, last_modified)


def test_the_modification_time_is_read_where_it_is_a_date() -> None:
    assert Representation.of({"Last-Modified": SUNDAY}).version.modified_at == NOW
    assert Representation.of({"Last-Modified": "yesterday"}).version.modified_at is None


@pytest.mark.parametrize(("first", "second", "continues"), CONTINUATIONS)
def test_a_part_continues_only_the_body_it_belongs_to(
    first: dict[str, str], second: dict[str, str], continues: bool
) -> None:
    representation = Representation.of({"Content-Length": "10", "Date": SUNDAY, **first})
    assert representation.continues_at(5, second) == continues


@pytest.mark.parametrize(("headers", "known", "is_confirmed"), CONFIRMATIONS)
def test_a_304_counts_only_if_it_speaks_of_the_known_version(
    headers: dict[str, str], known: SourceVersion, is_confirmed: bool
) -> None:
    assert confirms(headers, known) == is_confirmed


def test_conditions_send_the_validators_back_verbatim() -> None:
    known = SourceVersion(etag='W/"v1"', last_modified="yesterday", content_sha256="ab")
    assert condition_headers(known) == {
        "If-None-Match": 'W/"v1"',
        "If-Modified-Since": "yesterday",
    }
    assert condition_headers(SourceVersion(content_sha256="ab")) == {}
    assert condition_headers(None) == {}


@pytest.mark.parametrize(("header", "coding"), CODINGS)
def test_content_codings_are_recognised_and_mistakes_ignored(
    header: str | None, coding: str | None
) -> None:
    assert coding_of(header) == coding


@pytest.mark.parametrize("header", ["br", "zstd", "compress", "gzip, br", "gzip, gzip"])
def test_codings_that_cannot_be_undone_are_refused(header: str) -> None:
    with pytest.raises(DownloadRefusedError, match="although asked not to"):
        coding_of(header)


@pytest.mark.parametrize(("coding", "coded", "plain"), CODED.values(), ids=CODED)
def test_coded_bodies_are_decoded(coding: str, coded: bytes, plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "coded").write_bytes(coded)
    size_bytes, sha256 = decode_file(
        tmp_path / "coded", tmp_path / "plain", coding=coding, max_bytes=len(plain)
    )
    assert (tmp_path / "plain").read_bytes() == plain
    assert (size_bytes, sha256) == (len(plain), hashlib.sha256(plain).hexdigest())


@pytest.mark.parametrize("coded", BROKEN.values(), ids=BROKEN)
def test_a_broken_coded_body_is_a_partial_file(coded: bytes, tmp_path: Path) -> None:
    (tmp_path / "coded").write_bytes(coded)
    with pytest.raises(PartialFileError):
        decode_file(tmp_path / "coded", tmp_path / "plain", coding="gzip", max_bytes=1 << 20)


def test_the_cap_holds_for_decoded_bytes(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\0" * 50_000_000))
    with pytest.raises(FileTooBigError):
        decode_file(tmp_path / "bomb", tmp_path / "plain", coding="gzip", max_bytes=1_000_000)
    assert (tmp_path / "plain").stat().st_size <= 1_000_000


def test_a_source_that_drips_is_told_from_one_that_is_slow() -> None:
    dripping = Pace(60, now=0)
    assert not dripping.is_too_slow(1, now=59)
    assert dripping.is_too_slow(1, now=61)
    slow = Pace(60, now=0)
    assert not slow.is_too_slow(70_000, now=1)
    assert not slow.is_too_slow(1, now=61)
    assert slow.is_too_slow(1, now=122)
