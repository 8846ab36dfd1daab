"""Every way in which Dropbox says no, or nothing at all; only at the double."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from doubles.dropbox import DropboxDouble
from doubles.server import Fault
from synctables.datasources.base import Fetched
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    DriveFileDeletedError,
    DriveForbiddenError,
    DropboxPermissionError,
    RunError,
    UnsupportedFileError,
)
from synctables.settings import Settings
from tests.support.dropbox_cloud import Reader, union

CITIES = b"name,people\nOslo,709037\nRoma,2755309\n"
METADATA = "/2/files/get_metadata"
DOWNLOAD = "/2/files/download"


# --- every refusal -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    status: int
    body: str
    kind: type[RunError]
    code: int
    transient: bool
    retry_after: str | None = None
    waits: int | None = None
    content_type: str = "application/json"


REFUSALS = {
    "deleted": Refusal(409, union("path", "not_found"), DriveFileDeletedError, 1017, False),
    "restricted": Refusal(
        409, union("path", "restricted_content"), DatasourceReadError, 1011, False
    ),
    "malformed": Refusal(409, union("path", "malformed_path"), DatasourceReadError, 1011, False),
    "a folder": Refusal(409, union("path", "not_file"), DatasourceReadError, 1011, False),
    "of no kind": Refusal(409, union("path", "other"), DatasourceReadError, 1011, False),
    "locked": Refusal(409, union("path", "locked"), DatasourceConnectError, 1012, True),
    "of a kind unknown today": Refusal(
        409, union("path", "brand_new"), DatasourceReadError, 1011, False
    ),
    "not fit for apps": Refusal(
        409, union("path", "unsupported_content_type"), UnsupportedFileError, 1002, False
    ),
    "bad request": Refusal(
        400, "Error in call to API function: bad", DatasourceReadError, 1011, False, None, None,
        "text/plain",
    ),
    "scope not ticked": Refusal(
        400,
        "Your app is not permitted to access this endpoint because it does not have the required "
        "scope 'files.metadata.read'.",
        DatasourceConfigurationError, 1012, False, None, None, "text/plain",
    ),
    "scope missing in the token": Refusal(
        401,
        union("missing_scope", required_scope="files.metadata.read"),
        DatasourceConfigurationError, 1012, False,
    ),
    "suspended": Refusal(401, union("user_suspended"), DropboxPermissionError, 1016, False),
    "team says no": Refusal(403, union("team_access_denied"), DriveForbiddenError, 1008, False),
    "account of the wrong kind": Refusal(
        403, union("invalid_account_type", "endpoint"), DriveForbiddenError, 1008, False
    ),
    "no permission for the root": Refusal(
        422, union("no_permission"), DatasourceReadError, 1011, False
    ),
    "too many requests": Refusal(
        429,
        json.dumps(
            {
                "error_summary": "too_many_requests/..",
                "error": {"reason": {".tag": "too_many_requests"}, "retry_after": 300},
            }
        ),
        DatasourceConnectError, 1012, True, None, 300,
    ),
    "too many requests, by header": Refusal(
        429, "slow down", DatasourceConnectError, 1012, True, "17", 17, "text/plain"
    ),
    "too many requests, by date": Refusal(
        429, "slow down", DatasourceConnectError, 1012, True,
        "Fri, 01 Jan 2100 00:00:00 GMT", 86_400, "text/plain",
    ),
    "internal error": Refusal(500, "<html>oops", DatasourceConnectError, 1012, True),
    "maintenance": Refusal(503, "", DatasourceConnectError, 1012, True, "60", 60),
    "an answer that is no JSON": Refusal(
        200, "<html>login", DatasourceConnectError, 1012, True, None, None, "text/html"
    ),
    "JSON of another kind": Refusal(200, "[]", DatasourceConnectError, 1012, True),
    "401 without a word": Refusal(401, "no", DropboxPermissionError, 1016, False),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
async def test_every_refusal_has_its_code_and_names_the_file(
    reader: Reader, dropbox_double: DropboxDouble, name: str
) -> None:
    case = REFUSALS[name]
    headers = {"Retry-After": case.retry_after} if case.retry_after else {}
    fault = Fault(
        path=METADATA,
        status=case.status,
        headers=headers,
        body=case.body,
        content_type=case.content_type,
    )
    dropbox_double.trouble.add(fault, times=2)
    with pytest.raises(RunError) as raised:
        await reader.fetch("/cities.csv")
    error = raised.value
    assert type(error) is case.kind
    assert (error.code, error.transient) == (case.code, case.transient)
    assert getattr(error, "retry_after_seconds", None) == case.waits
    if case.status not in (400, 401, 429):
        assert "/cities.csv" in str(error)
    may_ask_twice = case.kind is DropboxPermissionError and name != "suspended"
    asked = len(dropbox_double.trouble.seen(METADATA))
    assert asked == (2 if may_ask_twice else 1), "the SDK tried again by itself"


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("shared_link_not_found", DriveFileDeletedError),
        ("shared_link_access_denied", DatasourceReadError),
        ("unsupported_link_type", DatasourceReadError),
        ("other", DatasourceReadError),
    ],
)
async def test_every_refusal_of_a_link_has_its_code_and_no_key_of_it(
    reader: Reader, dropbox_double: DropboxDouble, tag: str, kind: type[RunError]
) -> None:
    dropbox_double.files.put("/cities.csv", CITIES)
    link = dropbox_double.files.share("/cities.csv")
    dropbox_double.trouble.add(
        Fault(path="/2/sharing/get_shared_link_metadata", status=409, body=union(tag))
    )
    with pytest.raises(kind) as raised:
        await reader.fetch(link)
    assert "secret-rlkey" not in repr(raised.value)
    assert "dropbox.com" in str(raised.value) or "Dropbox" in str(raised.value)


async def test_a_link_for_others_only_may_not_be_read(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.files.put("/cities.csv", CITIES)
    link = dropbox_double.files.share("/cities.csv")
    dropbox_double.files.deny(link)
    with pytest.raises(DatasourceReadError):
        await reader.fetch(link)


async def test_a_file_that_dropbox_withholds_is_refused_by_name(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    dropbox_double.files.put("/film.csv", CITIES)
    dropbox_double.files.refuse("/film.csv", "restricted_content")
    with pytest.raises(DatasourceReadError, match=r"/film\.csv"):
        await reader.fetch("/film.csv")


async def test_a_download_that_is_refused_for_a_moment_is_asked_for_again(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    dropbox_double.trouble.add(Fault(path=DOWNLOAD, status=503), times=2)
    assert await reader.content(file_id) == CITIES


async def test_a_download_that_must_wait_waits_for_another_run(
    reader: Reader, dropbox_double: DropboxDouble
) -> None:
    file_id = dropbox_double.files.put("/cities.csv", CITIES)
    dropbox_double.trouble.add(
        Fault(path=DOWNLOAD, status=429, headers={"Retry-After": "30"}, content_type="text/plain")
    )
    with pytest.raises(DatasourceConnectError) as raised:
        await reader.fetch(file_id)
    assert raised.value.retry_after_seconds == 30
    assert len(dropbox_double.trouble.seen(DOWNLOAD)) == 1


# --- no way to Dropbox ---------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Where somebody listens and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def deaf_port() -> int:
    """Where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


Change = Callable[[Settings, int, int], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda s, silent, deaf: {"drive_ca_file": None}, DatasourceConnectError),
        (
            lambda s, silent, deaf: {"dropbox_endpoint": f"https://localhost:{deaf}"},
            DatasourceConnectError,
        ),
        (
            lambda s, silent, deaf: {"dropbox_endpoint": "https://nowhere.invalid"},
            DatasourceConnectError,
        ),
        (
            lambda s, silent, deaf: {
                "dropbox_endpoint": f"https://localhost:{silent}",
                "idle_timeout_seconds": 0.2,
                "connect_timeout_seconds": 0.2,
            },
            DownloadTimeoutError,
        ),
    ],
    ids=["a certificate of nobody known", "nobody listens", "no such name", "silence"],
)
async def test_no_way_to_dropbox_is_transient(
    reader: Reader, silent_port: int, deaf_port: int, change: Change, kind: type[RunError]
) -> None:
    changes = change(reader.settings, silent_port, deaf_port)
    reader.settings = reader.settings.model_copy(update=changes)
    with pytest.raises(kind) as raised:
        await reader.another().probe("/cities.csv", known=None)
    assert raised.value.transient
    assert type(raised.value) is kind


async def test_a_fetched_file_has_its_page(reader: Reader, dropbox_double: DropboxDouble) -> None:
    dropbox_double.files.put("/Sub/a b.csv", CITIES)
    fetched = await reader.fetch("/sub/a b.csv")
    assert isinstance(fetched, Fetched)
    assert fetched.web_link == "https://www.dropbox.com/home/Sub?preview=a%20b.csv"
