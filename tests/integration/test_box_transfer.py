"""Bytes from Box: whole, of one version, resumed where they broke, and never too many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from doubles.server import Fault
from synctables.datasources.base import NotModified, SourceVersion
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    FileTooBigError,
    PartialFileError,
)

if TYPE_CHECKING:
    from tests.support.clouds_box import BoxAtHand

BODY = bytes(range(256)) * 2000
OTHER = BODY[::-1]
CONTENT = "/2.0/files/[0-9]+/content"
BYTES = "/d/1/"


async def test_nothing_is_downloaded_of_an_unchanged_file(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    fetched = await box.fetcher.file(number)
    seen = len(box.double.trouble.seen())
    assert isinstance(await box.fetcher.fetch(number, fetched.version), NotModified)
    assert [one.path for one in box.double.trouble.seen()[seen:]] == [f"/2.0/files/{number}"]


async def test_the_host_of_downloads_never_sees_the_token(box: BoxAtHand) -> None:
    await box.fetcher.file(box.double.items.put("/a.csv", BODY))
    [download] = box.double.trouble.seen(BYTES)
    assert "authorization" not in download.headers
    assert download.headers["host"].startswith("127.0.0.1:")
    assert download.headers["accept-encoding"] == "identity"


async def test_a_broken_download_goes_on_where_it_stopped(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    for cut in (200_000, 200_000):
        box.double.trouble.add(Fault(path=BYTES, cut_after_bytes=cut))
    fetched = await box.fetcher.file(number)
    assert fetched.path.read_bytes() == BODY
    asked = [one.headers.get("range") for one in box.double.trouble.seen(BYTES)]
    begun = [int(re.sub(r"\D", "", one)) for one in asked if one]
    assert asked[0] is None
    assert len(begun) == 2
    assert 0 < begun[0] < begun[1] <= 400_000
    received = [size for size, _ in box.fetcher.progress]
    assert received == sorted(received)
    assert box.fetcher.progress[-1] == (len(BODY), len(BODY))


async def test_a_download_that_never_gets_on_is_given_up(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.trouble.add(Fault(path=BYTES, cut_after_bytes=0), times=9)
    with pytest.raises(PartialFileError, match=r"broke before 'a\.csv' was whole"):
        await box.fetcher.fetch(number)
    assert len(box.double.trouble.seen(BYTES)) == 5


async def test_a_file_that_changes_while_it_comes_is_begun_anew(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.trouble.add(Fault(path=BYTES, cut_after_bytes=300_000))
    box.double.after_bytes = lambda: box.double.items.write(number, OTHER + b"tail")
    fetched = await box.fetcher.file(number)
    assert fetched.path.read_bytes() == OTHER + b"tail"
    assert (await box.fetcher.item(number)).version.revision == fetched.version.revision


@pytest.mark.parametrize("newer", [BODY + b"more", BODY[:1000], OTHER], ids=["grown", "cut", "as"])
async def test_a_file_that_changes_between_description_and_download_comes_as_it_is_now(
    box: BoxAtHand, newer: bytes
) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.before_content = lambda: box.double.items.write(number, newer)
    fetched = await box.fetcher.file(number)
    assert fetched.path.read_bytes() == newer
    assert fetched.size_bytes == len(newer)


async def test_a_file_that_changes_all_the_time_is_tried_again_later(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)

    def change() -> None:
        box.double.items.write(number, bytes([len(box.double.trouble.seen(CONTENT))]) * 50)
        box.double.before_content = change

    box.double.before_content = change
    with pytest.raises(DatasourceConnectError, match="faster than it can come"):
        await box.fetcher.fetch(number)


async def test_other_bytes_than_the_hash_stands_for_are_refused(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.items.nodes[number].spoiled = OTHER
    with pytest.raises(PartialFileError, match="hash"):
        await box.fetcher.fetch(number)


async def test_a_server_that_goes_on_at_the_beginning_spoils_no_file(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.trouble.add(Fault(path=BYTES, cut_after_bytes=100_000))
    box.double.gives_parts = False
    with pytest.raises(DatasourceConnectError, match="in the middle"):
        await box.fetcher.fetch(number)


@pytest.mark.parametrize("named", [True, False])
async def test_too_large_a_file_is_refused_before_it_is_asked_for(
    box: BoxAtHand, named: bool
) -> None:
    number = box.double.items.put("/a.csv", BODY)
    small = box.fetcher_with(box.tokens, box.fetcher.into, max_file_bytes=1000)
    with pytest.raises(FileTooBigError):
        await small.fetch("/a.csv" if named else number)
    assert not box.double.trouble.seen(CONTENT)


async def test_more_bytes_than_announced_are_not_written_to_disk(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"small")
    box.double.items.nodes[number].spoiled = BODY
    small = box.fetcher_with(box.tokens, box.fetcher.into, max_file_bytes=1000)
    with pytest.raises(FileTooBigError):
        await small.fetch(number)


async def test_an_empty_file_comes_as_an_empty_file(box: BoxAtHand) -> None:
    fetched = await box.fetcher.file(box.double.items.put("/a.csv", b""))
    assert (fetched.size_bytes, fetched.path.read_bytes()) == (0, b"")


async def test_the_known_content_under_another_version_is_not_modified(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    first = await box.fetcher.file(number)
    box.double.items.write(number, OTHER)
    box.double.items.write(number, BODY)
    again = await box.fetcher.fetch(number, first.version)
    assert isinstance(again, NotModified)
    assert again.version.revision != first.version.revision
    assert again.version.content_sha256 == first.version.content_sha256
    assert not first.path.exists()


async def test_a_file_that_is_not_ready_yet_is_waited_for_as_box_asks(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.trouble.add(Fault(path=CONTENT, status=202, headers={"Retry-After": "7"}))
    with pytest.raises(DatasourceConnectError, match=r"'a\.csv' is not ready") as raised:
        await box.fetcher.fetch(number)
    assert raised.value.retry_after_seconds == 7


async def test_who_may_only_look_is_told_so_before_anything_is_asked_for(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.items.nodes[number].can_download = False
    with pytest.raises(DatasourceReadError, match="but not download it"):
        await box.fetcher.fetch(number)
    assert not box.double.trouble.seen(CONTENT)


async def test_an_app_that_may_only_read_is_the_operators_to_mend(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", BODY)
    box.double.scopes = {"root_readonly"}
    with pytest.raises(DatasourceConfigurationError, match=r"docs/guides/box\.md"):
        await box.fetcher.fetch(number)


async def test_a_link_opens_somebody_elses_file_and_folder(box: BoxAtHand) -> None:
    items = box.double.items
    number = items.put("/theirs/a.csv", BODY)
    folder = items.folder("/theirs")
    items.nodes[folder].is_foreign = True
    link = items.share(folder, f"{box.double.base_url}/s/n4me")
    with pytest.raises(DatasourceReadError, match="is a folder"):
        await box.fetcher.fetch(link)
    [listed] = await box.fetcher.datasource.list(folder=link)
    assert listed.id == f"{link}/file/{number}"
    fetched = await box.fetcher.file(listed.id, SourceVersion(revision="older"))
    assert fetched.path.read_bytes() == BODY
    assert fetched.web_link == listed.web_link == listed.id
