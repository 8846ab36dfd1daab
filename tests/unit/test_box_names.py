"""How items of Box are named, and what Box costs whoever does not use it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import SecretStr

from synctables.datasources.box import DRIVE
from synctables.datasources.box.address import Address, parse_address
from synctables.errors import ConfigurationError, DatasourceReadError
from synctables.settings import Settings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("12345", Address(id="12345")),
        (" 12345\n", Address(id="12345")),
        ("/", Address(path=())),
        ("/Data/cities.csv", Address(path=("Data", "cities.csv"))),
        ("//Data//cities.csv/", Address(path=("Data", "cities.csv"))),
        ("/12345", Address(path=("12345",))),
        ("/Zu\u0308rich.csv", Address(path=("Z\u00fcrich.csv",))),
        ("https://app.box.com/file/12345", Address(id="12345")),
        ("https://acme.app.box.com/file/12345?sb=/details", Address(id="12345")),
        ("https://acme.box.com/folder/678", Address(id="678")),
        ("https://app.box.com/s/n4me", Address(shared_link="https://app.box.com/s/n4me")),
        ("https://app.box.com/s/n4me?x=y#z", Address(shared_link="https://app.box.com/s/n4me")),
        ("https://acme.box.com/v/cities", Address(shared_link="https://acme.box.com/v/cities")),
        (
            "https://app.box.com/s/n4me/file/12345",
            Address(shared_link="https://app.box.com/s/n4me", id="12345"),
        ),
        (
            "https://app.box.com/s/n4me/folder/678",
            Address(shared_link="https://app.box.com/s/n4me", id="678"),
        ),
        (
            "https://app.box.com/shared/static/n4me.csv",
            Address(shared_link="https://app.box.com/s/n4me"),
        ),
        ("https://localhost:8443/s/n4me", Address(shared_link="https://localhost:8443/s/n4me")),
    ],
)
def test_an_item_is_named_by_id_path_or_link(text: str, address: Address) -> None:
    assert parse_address(text, own_host="localhost") == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cities.csv",
        "-5",
        "١٢٣",
        "1" * 21,
        "http://app.box.com/s/n4me",
        "https://box.com.example.org/s/n4me",
        "https://notbox.com/s/n4me",
        "https://app.box.com/",
        "https://app.box.com/file/abc",
        "https://app.box.com/s/n4me/file/../x",
        "https://[app.box.com/s/n4me",
    ],
)
def test_anything_else_names_nothing_in_box(text: str) -> None:
    with pytest.raises(DatasourceReadError, match="is no item of Box"):
        parse_address(text)


def test_a_link_with_a_key_in_its_query_is_not_repeated() -> None:
    with pytest.raises(DatasourceReadError) as raised:
        parse_address("https://user:secret-1@example.org/a.csv?key=secret-2")
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "SYNCTABLES_BOX_CLIENT_ID and SYNCTABLES_BOX_CLIENT_SECRET are not set"),
        ({"box_client_id": "id"}, "SYNCTABLES_BOX_CLIENT_SECRET is not set"),
        ({"box_client_secret": SecretStr("s")}, "SYNCTABLES_BOX_CLIENT_ID is not set"),
    ],
)
def test_missing_settings_are_named_with_their_page(given: dict[str, object], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing) as raised:
        DRIVE.oauth_client(Settings().model_copy(update=given))
    assert "docs/guides/box.md" in str(raised.value)


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_the_sdk_is_imported_only_when_box_is_used() -> None:
    code = "import sys, synctables.datasources.box; print('box_sdk_gen' in sys.modules)"
    assert run_python(code) == "False\n"


def test_a_missing_sdk_names_the_extra() -> None:
    code = """
import sys
sys.modules["box_sdk_gen"] = None
from synctables.datasources.box import DRIVE
from synctables.errors import ConfigurationError
from synctables.settings import Settings
try:
    DRIVE.oauth_client(Settings(box_client_id="id", box_client_secret="secret"))
except ConfigurationError as error:
    print(error)
"""
    assert "pip install 'synctables[box]'" in run_python(code)
