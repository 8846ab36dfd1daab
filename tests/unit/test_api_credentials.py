"""Which key a call shows, and which account it is addressed to."""

from __future__ import annotations

import base64

import pytest

from synctables.api.addressing import find_account_in_host, split_account_path
from synctables.api.auth import Credentials, find_credentials
from synctables.errors import UnauthenticatedError


def basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "parameters", "expected"),
    [
        (None, {}, None),
        (None, {"api_key": "k"}, Credentials(api_key="k")),
        (None, {"api_key": ""}, None),
        (None, {"api_key": 7}, None),
        (None, {"api_key": None}, None),
        ("Bearer k", {}, Credentials(api_key="k")),
        ("bearer   k ", {}, Credentials(api_key="k")),
        ("Bearer k", {"api_key": "other"}, Credentials(api_key="k")),
        ("Bearer", {"api_key": "k"}, Credentials(api_key="k")),
        (f"Basic {basic('alice:k')}", {}, Credentials(api_key="k", username="alice")),
        (f"bAsIc {basic('alice:k')}", {"api_key": "x"}, Credentials(api_key="k", username="alice")),
        (f"Basic {basic('alice:k:l')}", {}, Credentials(api_key="k:l", username="alice")),
        # Base64 texts that hold + / and =, at which the reference's pattern stops.
        (f"Basic {basic('al>ce?:k')}", {}, Credentials(api_key="k", username="al>ce?")),
        (f"Basic {basic('ÿ~~:k~~>')}", {}, Credentials(api_key="k~~>", username="ÿ~~")),
        ("Digest username=alice", {"api_key": "k"}, Credentials(api_key="k")),
        ("", {"api_key": "k"}, Credentials(api_key="k")),
    ],
)
def test_credentials_are_found_in_header_or_parameters(
    authorization: str | None, parameters: dict[str, object], expected: Credentials | None
) -> None:
    assert find_credentials(authorization, parameters) == expected


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic é", f"Basic {basic('nocolon')}", f"Basic {basic('alice:')}",
     "Basic " + base64.b64encode(b"\xff\xfe:k").decode()],
)  # fmt: skip
def test_a_basic_header_that_cannot_be_read_is_refused(authorization: str) -> None:
    with pytest.raises(UnauthenticatedError):
        find_credentials(authorization, {"api_key": "k"})


def test_credentials_do_not_show_the_key_when_printed() -> None:
    assert "secret" not in repr(Credentials(api_key="secret"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", (None, "/")),
        ("/api/v1/imports", (None, "/api/v1/imports")),
        ("/api/v1/imports/", (None, "/api/v1/imports")),
        ("/api/v1/imports//", (None, "/api/v1/imports")),
        ("/user/alice/api/v1/imports", ("alice", "/api/v1/imports")),
        ("/u/alice/api/v1/imports/", ("alice", "/api/v1/imports")),
        ("/user/alice", ("alice", "/")),
        ("/user/alice/", ("alice", "/")),
        ("/user/", (None, "/user")),
        ("/users/alice", (None, "/users/alice")),
        ("/user/a\nb/x", ("a\nb", "/x")),
        ("/user/alice/user/bob/x", ("alice", "/user/bob/x")),
    ],
)
def test_the_path_names_the_account(path: str, expected: tuple[str | None, str]) -> None:
    assert split_account_path(path) == expected


@pytest.mark.parametrize(
    ("host", "domain", "expected"),
    [
        ("alice.example.org", None, None),
        ("alice.example.org", "example.org", "alice"),
        ("ALICE.Example.ORG:8080", "example.org", "alice"),
        ("alice.example.org.", ".example.org", "alice"),
        ("example.org", "example.org", None),
        ("www.example.org", "example.org", None),
        ("alice.example.org.evil.net", "example.org", None),
        ("evilexample.org", "example.org", None),
        ("a.b.example.org", "example.org", "a.b"),
        ("[::1]:8080", "example.org", None),
        ("", "example.org", None),
    ],
)
def test_the_host_names_the_account_below_the_domain_only(
    host: str, domain: str | None, expected: str | None
) -> None:
    assert find_account_in_host(host, domain) == expected
