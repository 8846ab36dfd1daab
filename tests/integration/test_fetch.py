"""Fetching from a real server: whole files, unchanged files, caps, codings, uploads."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from synctables.datasources._http import USER_AGENT
from synctables.datasources.base import SourceVersion
from synctables.errors import (
    DiskFullError,
    DownloadRefusedError,
    EmptyFileError,
    FileTooBigError,
    RunError,
)
from synctables.importer.fetch import receive_upload
from tests.support.fetching import BODY, OTHER, SATURDAY, SHA, SUNDAY, Fetcher, make_fetcher
from tests.support.file_pages import Page
from tests.support.file_server import FileServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


# --- the plain way -------------------------------------------------------------------------------


async def test_a_file_arrives_whole_with_what_its_server_says(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.put(
        "/data/cities.csv", BODY, etag='"v1"', last_modified=SUNDAY, content_type="text/csv"
    )
    fetched = await fetcher.file(url + "?token=secret")
    assert fetched.path.read_bytes() == BODY
    assert fetched.path.is_relative_to(fetcher.workspace)
    assert (fetched.file_name, fetched.content_type) == ("cities.csv", "text/csv")
    assert (fetched.size_bytes, fetched.http_status) == (len(BODY), 200)
    version = fetched.version
    assert (version.etag, version.last_modified, version.content_sha256) == ('"v1"', SUNDAY, SHA)
    assert version.modified_at is not None
    assert version.modified_at.isoformat() == "2026-11-01T12:00:00+00:00"
    assert fetcher.progress[-1] == (len(BODY), len(BODY))
    assert fetcher.progress == sorted(fetcher.progress)


async def test_the_request_is_plain_and_says_who_asks(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.put("/a%2Fb%20c.csv", BODY, headers={"Set-Cookie": "id=1"})
    await fetcher.file(url + "?x=%41+b&y=[1]")
    await fetcher.file(url + "?x=%41+b&y=[1]")
    for request in file_server.requests():
        assert request.target == "/a%2Fb%20c.csv?x=%41+b&y=[1]"
        assert request.headers["user-agent"] == USER_AGENT
        assert request.headers["accept-encoding"] == "identity"
        assert not {"cookie", "authorization", "if-none-match", "range"} & set(request.headers)


async def test_environment_proxies_are_ignored(
    fetcher: Fetcher, file_server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1/")
    await fetcher.file(file_server.put("/a.csv", BODY))
    assert file_server.request_count() == 1


@pytest.mark.parametrize(
    "page", [Page(body=BODY, is_chunked=True), Page(body=BODY, is_until_close=True)]
)
async def test_a_body_of_unknown_length_arrives_whole(
    fetcher: Fetcher, file_server: FileServer, page: Page
) -> None:
    fetched = await fetcher.file(file_server.script("/a.csv", page))
    assert fetched.path.read_bytes() == BODY
    assert fetcher.progress[-1] == (len(BODY), None)


async def test_the_event_loop_stays_free_while_a_file_comes(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", BODY, hold_after_bytes=100)
    running = asyncio.create_task(fetcher.file(url))
    await asyncio.to_thread(file_server.wait_until_held, "/a.csv")
    assert not running.done()
    file_server.release("/a.csv")
    assert (await running).version.content_sha256 == SHA


# --- has it changed? -----------------------------------------------------------------------------


async def test_unchanged_validators_spare_the_download(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    for fields in (
        {"etag": '"v1"'},
        {"etag": 'W/"v1"'},
        {"last_modified": SUNDAY},
        {"etag": '"v1"', "last_modified": SUNDAY},
    ):
        url = file_server.put("/a.csv", BODY, **fields)
        known = (await fetcher.file(url)).version
        outcome = await fetcher.nothing_new(url, known)
        assert (outcome.version, outcome.http_status) == (known, 304)
        sent = file_server.requests("/a.csv")[-1].headers
        assert sent.get("if-none-match") == fields.get("etag")
        assert sent.get("if-modified-since") == fields.get("last_modified")


async def test_a_changed_file_is_fetched(fetcher: Fetcher, file_server: FileServer) -> None:
    known = (await fetcher.file(file_server.put("/a.csv", BODY, etag='"v1"'))).version
    fetched = await fetcher.file(file_server.put("/a.csv", OTHER, etag='"v2"'), known)
    assert fetched.path.read_bytes() == OTHER
    assert fetched.version.etag == '"v2"'


async def test_a_file_put_back_to_an_older_one_is_fetched(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    known = (await fetcher.file(file_server.put("/a.csv", BODY, last_modified=SUNDAY))).version
    url = file_server.put("/a.csv", OTHER, last_modified=SATURDAY)
    assert (await fetcher.file(url, known)).path.read_bytes() == OTHER


async def test_a_304_for_another_version_is_not_believed(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    known = SourceVersion(last_modified=SUNDAY, content_sha256=SHA)
    url = file_server.script(
        "/a.csv",
        Page(status=304, last_modified=SATURDAY),
        Page(body=OTHER, last_modified=SATURDAY),
    )
    assert (await fetcher.file(url, known)).path.read_bytes() == OTHER
    assert "if-modified-since" not in file_server.requests("/a.csv")[-1].headers


async def test_a_304_that_nobody_asked_for_is_an_error(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", status=304)
    assert isinstance(await fetcher.failure(url), DownloadRefusedError)
    known = SourceVersion(content_sha256=SHA)
    assert isinstance(await fetcher.failure(url, known), DownloadRefusedError)


async def test_equal_content_is_not_modified_and_brings_the_new_validators(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    known = (await fetcher.file(file_server.put("/a.csv", BODY, etag='"v1"'))).version
    for fields, etag in (({"etag": '"v2"'}, '"v2"'), ({}, None)):
        outcome = await fetcher.nothing_new(file_server.put("/a.csv", BODY, **fields), known)
        assert outcome.version == SourceVersion(etag=etag, content_sha256=SHA)
        assert outcome.http_status == 200
    assert not list((fetcher.workspace / "fetched").iterdir())


async def test_a_server_that_ignores_conditions_costs_a_download_only(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.put("/a.csv", BODY, etag='"v1"', is_conditional=False)
    known = (await fetcher.file(url)).version
    assert (await fetcher.nothing_new(url, known)).http_status == 200


# --- caps and disks ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_the_cap_on_bytes_holds_announced_or_not(
    tmp_path: Path, file_server: FileServer, is_chunked: bool
) -> None:
    url = file_server.put("/a.csv", BODY, is_chunked=is_chunked)
    at_the_cap = make_fetcher(tmp_path, max_file_bytes=len(BODY))
    await at_the_cap.file(url)
    below = make_fetcher(tmp_path, max_file_bytes=len(BODY) - 1)
    assert isinstance(await below.failure(url), FileTooBigError)
    assert below.progress == [] or is_chunked


async def test_the_cap_holds_for_what_a_compressed_answer_becomes(
    tmp_path: Path, file_server: FileServer
) -> None:
    fetcher = make_fetcher(tmp_path, max_file_bytes=100_000)
    url = file_server.put("/a.csv", b"\0" * 10_000_000, content_encoding="gzip")
    assert isinstance(await fetcher.failure(url), FileTooBigError)


async def test_a_full_disk_is_told_as_such(fetcher: Fetcher, file_server: FileServer) -> None:
    folder = fetcher.workspace / "fetched"
    folder.mkdir()
    (folder / "a.csv").symlink_to("/dev/full")
    assert isinstance(await fetcher.failure(file_server.put("/a.csv", BODY)), DiskFullError)
    assert file_server.request_count("/a.csv") == 1


async def test_a_file_of_no_bytes_is_empty(fetcher: Fetcher, file_server: FileServer) -> None:
    for page in (Page(), Page(status=204), Page(is_chunked=True), Page(content_encoding="gzip")):
        error = await fetcher.failure(file_server.script("/a.csv", page))
        assert isinstance(error, EmptyFileError)


# --- compressed all the same ---------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_answer_compressed_unasked_is_the_file_itself(
    fetcher: Fetcher, file_server: FileServer, coding: str
) -> None:
    plain = (await fetcher.file(file_server.put("/a.csv", BODY))).version
    url = file_server.put("/a.csv", BODY, content_encoding=coding, etag='"v1"')
    fetched = await fetcher.file(url)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.size_bytes, fetched.version.content_sha256) == (len(BODY), SHA)
    assert [path.name for path in fetched.path.parent.iterdir()] == ["a.csv"]
    assert (await fetcher.nothing_new(url, plain)).http_status == 200


async def test_a_compressed_answer_is_resumed_before_it_is_decoded(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    page = Page(body=BODY, content_encoding="gzip", etag='"v1"')
    url = file_server.script("/a.csv", replace(page, cut_after_bytes=100), page)
    assert (await fetcher.file(url)).path.read_bytes() == BODY
    assert file_server.requests("/a.csv")[-1].headers["range"] == "bytes=100-"


async def test_a_gz_file_that_is_no_coded_answer_stays_as_it_is(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    packed = gzip.compress(BODY)
    fetched = await fetcher.file(file_server.put("/a.csv.gz", packed))
    assert (fetched.path.read_bytes(), fetched.file_name) == (packed, "a.csv.gz")


async def test_an_unreadable_coding_is_refused(fetcher: Fetcher, file_server: FileServer) -> None:
    url = file_server.put("/a.csv", BODY, headers={"Content-Encoding": "br"})
    assert isinstance(await fetcher.failure(url), DownloadRefusedError)


# --- uploads -------------------------------------------------------------------------------------


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_an_upload_is_written_under_a_safe_name(tmp_path: Path) -> None:
    progress: list[tuple[int, int | None]] = []
    fetched = await receive_upload(
        pieces(BODY[:10], BODY[10:]),
        file_name="../../cities.csv",
        content_type="text/csv",
        into=tmp_path,
        max_bytes=len(BODY),
        on_bytes=lambda received, total: progress.append((received, total)),
    )
    assert fetched.path.read_bytes() == BODY
    assert fetched.path.parent == tmp_path / "fetched"
    assert (fetched.file_name, fetched.content_type) == ("cities.csv", "text/csv")
    assert (fetched.size_bytes, fetched.version) == (len(BODY), SourceVersion(content_sha256=SHA))
    assert progress == [(10, None), (len(BODY), None)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [((), EmptyFileError), ((b"",), EmptyFileError), ((BODY,), FileTooBigError)],
)
async def test_uploads_too_small_or_too_big_are_refused(
    tmp_path: Path, chunks: tuple[bytes, ...], expected: type[RunError]
) -> None:
    with pytest.raises(expected):
        await receive_upload(
            pieces(*chunks),
            file_name="",
            content_type=None,
            into=tmp_path,
            max_bytes=1000,
            on_bytes=lambda _received, _total: None,
        )
