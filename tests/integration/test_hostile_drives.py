"""Answers that no drive should give, and items that are none: our errors, and no detours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doubles.drives import DriveDouble
from doubles.server import Fault
from synctables.datasources.base import Datasource, Fetched, Item, NotModified
from synctables.datasources.drives.known import find_drive
from synctables.datasources.drives.model import OAuthToken
from synctables.errors import RunError, TransientError
from synctables.settings import load_settings
from tests.support.clouds import MemoryTokens
from tests.support.file_server import FileServer

CONTENT = b"name,lat,lon\nOslo,59.9,10.7\n"
MOST_REQUESTS = 4
"""Of any double for one file."""

NO_ITEMS = {
    "nothing": "",
    "blanks": "  ",
    "a NUL": "a\0b.csv",
    "a NUL in a path": "/a\0b.csv",
    "a header": "id:a\r\nX-Evil: y",
    "steps upwards": "/../../etc/passwd",
    "a file": "file:///etc/passwd",
    "a metadata service": "http://169.254.169.254/latest/meta-data",
    "half an IPv6 address": "https://[::1/x",
    "a port that is a word": "https://app.box.com:http/s/x",
    "a port that is too large": "https://www.dropbox.com:99999/s/x",
    "another host by user name": "https://app.box.com@evil.example/s/x",
    "another host by its beginning": "https://drive.google.com.evil.example/file/d/aaaaaaaaaaaa",
    "a key that ends a header": "https://drive.google.com/file/d/aaaaaaaaaaaa/?resourcekey=a%0d%0ab",
    "a key that no header holds": "https://drive.google.com/file/d/aaaaaaaaaaaa/?resourcekey=中",
    "a link that no header holds": "https://app.box.com/s/ü中",
    "a direction mark": "\u202egnp.csv",
    "an emoji": "\U0001f5fa",
    "very long": "x" * 7999,
    "very deep": "/a" * 300,
}

NONSENSE = {
    "a web page": ("text/html", "<html>Please sign in</html>"),
    "nothing": ("text/plain", ""),
    "half a JSON": ("application/json", "{"),
    "a list": ("application/json", "[]"),
    "null": ("application/json", "null"),
    "an empty object": ("application/json", "{}"),
    "wrong types": ("application/json", '{"entries":5,"files":7,"id":9,".tag":"file","error":[]}'),
    "nulls": ("application/json", '{"id":null,"name":null,"type":"file","size":"x","error":null}'),
}


@dataclass(frozen=True, kw_only=True)
class Reader:
    """An account that is connected to a double which holds one file."""

    drive: DriveDouble
    datasource: Datasource
    item_id: str
    into: Path

    async def fetch(self) -> Fetched | NotModified:
        return await self.datasource.fetch(
            self.item_id, known=None, into=self.into, on_bytes=lambda *_: None
        )

    async def list(self) -> list[Item]:
        return await self.datasource.list()


@pytest.fixture
def connect(drive: DriveDouble, tmp_path: Path) -> Callable[..., Reader]:
    def connect(*, is_stale: bool = False) -> Reader:
        issued = drive.double.authority.grant()
        token = OAuthToken(
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            expires_at=datetime(2020, 1, 1, tzinfo=UTC) if is_stale else None,
        )
        settings = load_settings(**drive.settings, data_dir=tmp_path, idle_timeout_seconds=5)
        return Reader(
            drive=drive,
            datasource=find_drive(drive.service).datasource(settings, MemoryTokens(token)),
            item_id=drive.put("towns.csv", CONTENT),
            into=tmp_path,
        )

    return connect


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_request_is_redirected_to_where_nobody_proves_who_he_is(
    connect: Callable[..., Reader], file_server: FileServer, status: int
) -> None:
    """Neither a download, nor a question, nor a renewal, whose body holds every secret."""
    elsewhere = file_server.put("/elsewhere", CONTENT)
    for after in range(MOST_REQUESTS):
        reader = connect(is_stale=True)
        trouble = reader.drive.double.trouble
        trouble.add(Fault(path="", status=status, headers={"Location": elsewhere}), after=after)
        try:
            assert isinstance(await reader.fetch(), Fetched)
        except TransientError:
            assert trouble.seen()
        trouble.clear()
    assert file_server.request_count("/elsewhere") == 0


async def test_a_redirect_in_a_circle_ends(connect: Callable[..., Reader]) -> None:
    reader = connect()
    circle = {"Location": f"{reader.drive.double.base_url}/circle"}
    reader.drive.double.trouble.add(Fault(path="", status=302, headers=circle), times=200)
    with pytest.raises(TransientError):
        await reader.fetch()
    assert len(reader.drive.double.trouble.seen("/circle")) < 40


@pytest.mark.parametrize(
    "status",
    [200, pytest.param(403, marks=pytest.mark.full), pytest.param(409, marks=pytest.mark.full)],
)
@pytest.mark.parametrize("kind", NONSENSE)
async def test_nonsense_is_one_of_our_errors(
    connect: Callable[..., Reader], kind: str, status: int
) -> None:
    content_type, body = NONSENSE[kind]
    for after in range(MOST_REQUESTS):
        reader = connect()
        trouble = reader.drive.double.trouble
        for ask in (reader.fetch, reader.list):
            fault = Fault(path="", status=status, content_type=content_type, body=body)
            trouble.add(fault, times=100, after=after)
            with suppress(RunError):
                await ask()
            trouble.clear()


@pytest.mark.parametrize("kind", NO_ITEMS)
async def test_what_is_no_item_is_one_of_our_errors(
    connect: Callable[..., Reader], kind: str
) -> None:
    reader = connect()
    with pytest.raises(RunError):
        await reader.datasource.probe(NO_ITEMS[kind], known=None)
    for question in ({"folder": NO_ITEMS[kind]}, {"search": NO_ITEMS[kind]}):
        with suppress(RunError):
            await reader.datasource.list(**question)
