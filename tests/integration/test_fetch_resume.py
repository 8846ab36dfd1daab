"""Downloads that break: resumed, begun anew or given up, and never two versions in one file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from synctables.errors import (
    DownloadError,
    DownloadTimeoutError,
    PartialFileError,
)
from tests.support.fetching import BODY, OTHER, SATURDAY, SHA, SUNDAY, Fetcher, make_fetcher
from tests.support.file_pages import Page
from tests.support.file_server import FileServer

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_broken_download_goes_on_where_it_stopped(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    cuts = (1, 1000, 100_000, 50)
    pages = [Page(body=BODY, etag='"v1"', cut_after_bytes=cut) for cut in cuts]
    url = file_server.script("/a.csv", *pages, Page(body=BODY, etag='"v1"'))
    fetched = await fetcher.file(url)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.size_bytes, fetched.version.content_sha256) == (len(BODY), SHA)
    sent = [one.headers for one in file_server.requests("/a.csv")]
    assert [one.get("range") for one in sent] == [
        None,
        "bytes=1-",
        "bytes=1001-",
        "bytes=101001-",
        "bytes=101051-",
    ]
    assert {one.get("if-range") for one in sent[1:]} == {'"v1"'}
    assert fetcher.progress[-1] == (len(BODY), len(BODY))


async def test_a_broken_download_goes_on_by_a_date_that_is_old_enough(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    headers = {"Date": SUNDAY}
    url = file_server.script(
        "/a.csv",
        Page(body=BODY, last_modified=SATURDAY, headers=headers, cut_after_bytes=10),
        Page(body=BODY, last_modified=SATURDAY, headers=headers),
    )
    assert (await fetcher.file(url)).path.read_bytes() == BODY
    assert file_server.requests("/a.csv")[-1].headers["if-range"] == SATURDAY


@pytest.mark.parametrize(
    "page",
    [
        Page(body=BODY),
        Page(body=BODY, etag='W/"v1"'),
        Page(body=BODY, last_modified=SUNDAY, headers={"Date": SUNDAY}),
        Page(body=BODY, etag='"v1"', accepts_ranges=False),
        Page(body=BODY, is_chunked=True),
    ],
)
async def test_a_broken_download_begins_anew_where_nobody_vouches_for_the_rest(
    fetcher: Fetcher, file_server: FileServer, page: Page
) -> None:
    url = file_server.script("/a.csv", replace(page, cut_after_bytes=1000), page)
    fetched = await fetcher.file(url)
    assert fetched.path.read_bytes() == BODY
    assert fetched.version.content_sha256 == SHA


@pytest.mark.parametrize(
    "second",
    [
        Page(body=OTHER, etag='"v2"'),
        Page(body=OTHER),
        Page(body=OTHER, etag='"v2"', headers={"ETag": '"v1"'}, accepts_ranges=False),
    ],
)
async def test_a_file_that_changes_in_the_middle_is_never_mixed(
    fetcher: Fetcher, file_server: FileServer, second: Page
) -> None:
    url = file_server.script(
        "/a.csv", Page(body=BODY, etag='"v1"', cut_after_bytes=100_000), second
    )
    assert (await fetcher.file(url)).path.read_bytes() == OTHER


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"v2"', "Content-Range": f"bytes 1000-{len(OTHER) - 1}/{len(OTHER)}"},
        {"Content-Range": f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"},
        {"ETag": '"v1"', "Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"},
        {"ETag": '"v1"', "Content-Range": f"bytes 1000-{len(OTHER) - 1}/{len(OTHER)}"},
        {"ETag": '"v1"'},
    ],
)
async def test_a_part_of_another_body_is_not_appended(
    fetcher: Fetcher, file_server: FileServer, headers: dict[str, str]
) -> None:
    url = file_server.script(
        "/a.csv",
        Page(body=BODY, etag='"v1"', cut_after_bytes=1000),
        Page(body=OTHER[1000:], status=206, headers=headers),
        Page(body=OTHER, etag='"v2"'),
    )
    assert (await fetcher.file(url)).path.read_bytes() == OTHER
    assert [one.headers.get("range") for one in file_server.requests("/a.csv")] == [
        None,
        "bytes=1000-",
        None,
    ]


async def test_a_server_that_fails_while_resuming_is_asked_again(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.script(
        "/a.csv",
        Page(body=BODY, etag='"v1"', cut_after_bytes=1000),
        Page(status=503),
        Page(status=416),
        Page(body=BODY, etag='"v1"'),
    )
    assert (await fetcher.file(url)).path.read_bytes() == BODY


async def test_a_server_that_asks_to_be_left_alone_is(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    url = file_server.script(
        "/a.csv",
        Page(body=BODY, etag='"v1"', cut_after_bytes=1000),
        Page(status=503, headers={"Retry-After": "30"}),
    )
    error = await fetcher.failure(url)
    assert isinstance(error, DownloadError)
    assert error.retry_after_seconds == 30
    assert file_server.request_count("/a.csv") == 2


@pytest.mark.parametrize(
    "page",
    [
        Page(body=BODY, etag='"v1"', declared_bytes=len(BODY) + 1),
        Page(body=BODY, declared_bytes=len(BODY) * 2),
        Page(body=BODY, etag='"v1"', cut_after_bytes=0),
        Page(body=BODY, cut_after_bytes=1000),
        Page(body=BODY, is_chunked=True, cut_after_bytes=1000),
        Page(body=BODY, etag='"v1"', accepts_ranges=False, cut_after_bytes=1000),
    ],
)
async def test_a_server_that_never_sends_the_whole_is_given_up(
    fetcher: Fetcher, file_server: FileServer, page: Page
) -> None:
    url = file_server.script("/a.csv", page)
    error = await fetcher.failure(url)
    assert isinstance(error, PartialFileError)
    assert error.http_status in (200, 416)
    assert 3 <= file_server.request_count("/a.csv") <= 10


async def test_a_file_that_always_changes_in_the_middle_is_given_up(
    fetcher: Fetcher, file_server: FileServer
) -> None:
    pages = [
        Page(body=BODY + b"x" * turn, etag=f'"v{turn}"', cut_after_bytes=1000) for turn in range(30)
    ]
    assert isinstance(await fetcher.failure(file_server.script("/a.csv", *pages)), PartialFileError)
    assert file_server.request_count("/a.csv") <= 10


async def test_silence_is_a_timeout(tmp_path: Path, file_server: FileServer) -> None:
    fetcher = make_fetcher(tmp_path, idle_timeout_seconds=0.1)
    for page in (
        Page(body=BODY, etag='"v1"', hold_after_bytes=0, holds_headers=True),
        Page(body=BODY, hold_after_bytes=1000),
    ):
        error = await fetcher.failure(file_server.script("/a.csv", page))
        assert isinstance(error, DownloadTimeoutError)


async def test_a_download_that_stalls_goes_on_over_a_new_connection(
    tmp_path: Path, file_server: FileServer
) -> None:
    fetcher = make_fetcher(tmp_path, idle_timeout_seconds=0.1)
    url = file_server.script(
        "/a.csv",
        Page(body=BODY, etag='"v1"', hold_after_bytes=1000),
        Page(body=BODY, etag='"v1"'),
    )
    assert (await fetcher.file(url)).path.read_bytes() == BODY
