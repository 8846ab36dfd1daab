"""The commands that speak to a server, against the real API; no worker runs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from synctables.cli import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api_server import ApiAccount

    Command = Callable[..., str]


@pytest.fixture
def command(
    api: ApiAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command as the account ``api``; gives its stdout, and stderr when it fails."""
    monkeypatch.setenv("SYNCTABLES_SERVER", api.base_url)
    monkeypatch.setenv("SYNCTABLES_API_KEY", api.api_key)

    def call(*arguments: str, code: int = 0) -> str:
        assert run(list(arguments)) == code
        output = capsys.readouterr()
        return output.err if code else output.out

    return call


def test_a_sync_table_is_added_shown_and_removed(command: Command, api: ApiAccount) -> None:
    added = json.loads(
        command("add", "https://example.org/a.csv", "--interval", "1d", "--table", "a", "--json")
    )
    assert (added["interval"], added["state"]) == (86_400, "created")
    assert json.loads(command("list", "--json"))[0]["id"] == added["id"]
    assert json.loads(command("show", added["id"], "--json"))["url"] == "https://example.org/a.csv"
    assert "interval\t86400\n" in command("show", added["id"])
    assert command("remove", added["id"]).endswith("Its table stays.\n")
    assert api.call("GET", "synchronizations").json()["total_entries"] == 0


def test_the_list_is_tabs_without_secrets(command: Command, api: ApiAccount) -> None:
    sync = api.create_sync(url="https://user:word@example.org/a.csv?token=mystery", interval=5400)
    heading, line = command("list").splitlines()
    assert heading.split("\t") == [
        "name", "state", "every", "equal at", "next look", "source", "error", "id",
    ]  # fmt: skip
    fields = line.split("\t")
    assert fields[1:3] == ["created", "90m"]
    assert fields[5:] == ["https://example.org/a.csv", "-", sync["id"]]


def test_a_refused_refresh_says_why_and_when(command: Command, api: ApiAccount) -> None:
    sync = api.create_sync()
    complaint = command("sync", sync["id"], code=1)
    assert re.search(rf"{sync['id']} was not queued: .+\. Try again in \d+ s\.\n$", complaint)


def test_the_begin_of_an_id_is_enough(command: Command, api: ApiAccount) -> None:
    sync = api.create_sync()
    assert json.loads(command("show", sync["id"][:8], "--json"))["id"] == sync["id"]
    assert "There is no sync table" in command("show", sync["id"][:7], code=1)


def test_the_log_is_printed_line_by_line(command: Command, api: ApiAccount) -> None:
    assert "Traceback" not in command("log", api.create_sync()["id"])


@pytest.mark.parametrize("name", ["show", "sync", "log", "remove", "preview"])
def test_an_unknown_sync_table_is_one_line(command: Command, name: str) -> None:
    assert command(name, "nothing", code=1) == (
        "Error: There is no sync table 'nothing'. See `synctables list`.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["add", "ftp://example.org/a.csv"], "Invalid URL"),
        (["add", "https://example.org/a.csv", "--interval", "10s"], "at least 15 minutes"),
    ],
)
def test_what_the_server_refuses_is_a_wrong_argument(
    command: Command, arguments: list[str], part: str
) -> None:
    assert part in command(*arguments, code=2)


def test_a_wrong_key_is_one_line(command: Command) -> None:
    complaint = command("list", "--api-key", "wrong", code=1)
    assert complaint.startswith("Error: ")
    assert complaint.count("\n") == 1


def test_a_name_that_two_syncs_bear_needs_the_id(command: Command, api: ApiAccount) -> None:
    for _ in range(2):
        sync = api.create_sync()
        api.server.query("UPDATE syncs SET name = 'twin' WHERE id = %s", sync["id"])
    assert "2 sync tables answer to 'twin'" in command("show", "twin", code=1)


def test_accounts_are_made_and_their_keys_renewed(
    api: ApiAccount, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTABLES_DATABASE_URL", api.server.database_url)
    made = json.loads(command("account", "create", "bob", "--json"))
    assert set(made) == {"username", "api_key"}
    assert made["username"] == "bob"
    renewed = json.loads(command("account", "key", "rotate", "bob", "--json"))
    assert _may_list(api, made) == 401
    assert _may_list(api, renewed) == 200
    assert "\nbob\t" in command("account", "list")
    assert "is taken" in command("account", "create", "bob", code=2)
    assert "no account named" in command("account", "key", "rotate", "nobody", code=1)
    assert "cannot be an account's name" in command("account", "create", "Bob!", code=2)
    assert command("database-url") == f"{api.server.database_url}\n"


def _may_list(api: ApiAccount, credentials: dict[str, Any]) -> int:
    return api.call_plain(
        "GET", "/api/v1/synchronizations", params={"api_key": credentials["api_key"]}
    ).status_code
