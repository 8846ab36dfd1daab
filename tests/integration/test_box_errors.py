"""What goes wrong at Box: each with its code, the item's name, and whether a later try may work."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from doubles.box_errors import error_body
from doubles.server import Fault
from synctables.errors import NotConnectedError, RunError
from tests.support.clouds import MemoryTokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.support.clouds_box import BoxAtHand

FILE = "/2.0/files/[0-9]+$"
CONTENT = "/2.0/files/[0-9]+/content"


@dataclass(frozen=True, kw_only=True)
class Case:
    """An answer of Box's, and what becomes of it."""

    status: int
    code: str = ""
    says: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: int
    is_transient: bool = False
    message: str
    waits: int | None = None


CASES = [
    Case(status=404, code="not_found", says="Not Found", error=1017, message="is not in Box any"),
    Case(status=404, code="trashed", says="Item is trashed", error=1017, message="trash"),
    Case(status=410, error=1017, message="is not in Box any more"),
    Case(
        status=403,
        code="forbidden_by_policy",
        says="Access denied - Blocked by Shield Malware Detection Rule",
        error=1008,
        message="Blocked by Shield Malware Detection Rule.",
    ),
    Case(status=403, code="access_from_location_blocked", error=1008, message="location"),
    Case(status=400, code="terms_of_service_required", error=1008, message="terms of service"),
    Case(status=403, code="insufficient_scope", error=1012, message="docs/guides/box.md"),
    Case(status=403, code="anything_else", error=1011, message="403 Forbidden"),
    Case(status=400, code="bad_request", error=1011, message="400 Bad Request"),
    Case(
        status=429,
        code="rate_limit_exceeded",
        headers={"Retry-After": "100"},
        error=1012,
        is_transient=True,
        message="429 Too Many Requests",
        waits=100,
    ),
    Case(status=500, code="internal_server_error", error=1012, is_transient=True, message="500"),
    Case(status=502, error=1012, is_transient=True, message="502 Bad Gateway"),
    Case(
        status=503,
        code="unavailable",
        headers={"Retry-After": "20"},
        error=1012,
        is_transient=True,
        message="503",
        waits=20,
    ),
    Case(
        status=409,
        code="operation_blocked_temporary",
        error=1012,
        is_transient=True,
        message="409",
    ),
]


@pytest.mark.parametrize("asked", [FILE, CONTENT], ids=["described", "downloaded"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status}-{case.code}")
async def test_an_answer_becomes_its_error(box: BoxAtHand, case: Case, asked: str) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.trouble.add(
        Fault(
            path=asked,
            status=case.status,
            headers=case.headers,
            body=json.dumps(error_body(case.status, case.code, case.says)) if case.code else "",
        ),
        times=9,
    )
    with pytest.raises(RunError) as raised:
        await box.fetcher.fetch(number)
    error = raised.value
    assert (error.code, error.transient) == (case.error, case.is_transient)
    assert case.message in str(error)
    assert number in str(error) or "'a.csv'" in str(error)
    assert error.http_status == case.status
    assert getattr(error, "retry_after_seconds", None) == case.waits


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status}-{case.code}")
async def test_the_sdk_repeats_nothing_by_itself(box: BoxAtHand, case: Case) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    body = json.dumps(error_body(case.status, case.code, case.says))
    box.double.trouble.add(Fault(path=FILE, status=case.status, body=body), times=9)
    with pytest.raises(RunError):
        await box.fetcher.datasource.probe(number, known=None)
    assert len(box.double.trouble.seen(FILE)) == 1


async def test_the_permission_to_read_is_lost(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    says = "Access denied - insufficient permission"
    box.double.items.nodes[number].refusal = (403, "access_denied_insufficient_permissions", says)
    box.double.items.nodes[number].can_download = False
    with pytest.raises(RunError, match="download") as raised:
        await box.fetcher.fetch(number)
    assert (raised.value.code, raised.value.transient) == (1011, False)


async def test_somebody_elses_file_is_out_of_sight(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.items.nodes[number].is_foreign = True
    with pytest.raises(RunError, match="not shared with the connected account") as raised:
        await box.fetcher.fetch(number)
    assert raised.value.code == 1017


async def test_a_file_in_a_trashed_folder_is_a_deleted_file(box: BoxAtHand) -> None:
    number = box.double.items.put("/Data/a.csv", b"name\n")
    box.double.items.trash(box.double.items.folder("/Data"))
    with pytest.raises(RunError, match="trash") as raised:
        await box.fetcher.fetch(number)
    assert raised.value.code == 1017


async def test_a_link_with_a_password_is_named(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    link = box.double.items.share(number, f"{box.double.base_url}/s/n4me", password="open")
    with pytest.raises(RunError, match="wants a password") as raised:
        await box.fetcher.fetch(link)
    assert (raised.value.code, raised.value.transient) == (1011, False)


@pytest.mark.parametrize("body", ["<html>Sign in to the network</html>", "[]", "{}", '{"id":'])
@pytest.mark.parametrize("path", ["/2.0/files/[0-9]+$", "/2.0/folders/", "/2.0/search"])
async def test_what_is_no_answer_of_boxs_is_tried_again(
    box: BoxAtHand, path: str, body: str
) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.trouble.add(Fault(path=path, status=200, body=body), times=9)
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "/2.0/files/[0-9]+$": lambda: box.fetcher.item(number),
        "/2.0/folders/": lambda: box.fetcher.datasource.list(folder=""),
        "/2.0/search": lambda: box.fetcher.datasource.list(search="a"),
    }
    with pytest.raises(RunError, match="no answer of Box's") as raised:
        await calls[path]()
    assert (raised.value.code, raised.value.transient) == (1012, True)


async def test_a_connection_that_breaks_is_tried_again(box: BoxAtHand) -> None:
    number = box.double.items.put("/a.csv", b"name\n")
    box.double.trouble.add(Fault(path=FILE, cut_after_bytes=5))
    with pytest.raises(RunError, match="broke the connection") as raised:
        await box.fetcher.fetch(number)
    assert (raised.value.code, raised.value.transient) == (1012, True)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("https://localhost:1", "does not answer"),
        ("https://no-such-host.invalid", "does not answer"),
    ],
)
async def test_a_server_that_is_not_there_is_tried_again(
    box: BoxAtHand, endpoint: str, message: str
) -> None:
    elsewhere = box.fetcher_with(box.tokens, box.fetcher.into, box_endpoint=endpoint)
    with pytest.raises(RunError, match=message) as raised:
        await elsewhere.fetch("12345")
    assert (raised.value.code, raised.value.transient) == (1012, True)


async def test_a_certificate_that_nobody_vouches_for_is_refused(box: BoxAtHand) -> None:
    unknown = box.fetcher_with(box.tokens, box.fetcher.into, drive_ca_file=None)
    with pytest.raises(RunError, match="No secure connection") as raised:
        await unknown.fetch("12345")
    assert (raised.value.code, raised.value.transient) == (1012, True)
    assert box.double.trouble.seen() == []


@pytest.mark.parametrize("path", [FILE, "/d/1/"], ids=["described", "downloaded"])
async def test_a_server_that_sends_nothing_is_a_timeout(box: BoxAtHand, path: str) -> None:
    number = box.double.items.put("/a.csv", b"name\n" * 10_000)
    impatient = box.fetcher_with(box.tokens, box.fetcher.into, idle_timeout_seconds=0.2)
    box.double.trouble.add(Fault(path=path, is_silent=True), times=9)
    with pytest.raises(RunError, match="nothing for too long") as raised:
        await impatient.fetch(number)
    assert (raised.value.code, raised.value.transient) == (1020, True)


async def test_an_account_without_a_token_is_not_connected(box: BoxAtHand) -> None:
    nobody = box.fetcher_with(MemoryTokens(None), box.fetcher.into)
    with pytest.raises(NotConnectedError):
        await nobody.fetch("12345")


@pytest.mark.parametrize(
    "item", ["", "cities.csv", "https://example.org/s/n4me", "https://app.box.com/nothing?x=y"]
)
async def test_what_names_no_item_is_said_so(box: BoxAtHand, item: str) -> None:
    with pytest.raises(RunError, match=r"is no item of Box\. Give") as raised:
        await box.fetcher.fetch(item)
    assert (raised.value.code, raised.value.transient) == (1011, False)
    assert box.double.trouble.seen() == []
