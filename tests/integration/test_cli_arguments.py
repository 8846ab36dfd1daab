"""Wrong arguments and servers that are not there: one line each, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synctables.cli import run
from synctables.cli.local_access import LocalAccess, read_local_access, write_local_access
from synctables.errors import SynctablesError
from tests.support.serve_process import environment

if TYPE_CHECKING:
    from tests.support.file_server import FileServer

_COMMANDS = [
    "serve", "api", "worker", "add", "list", "show", "sync", "log", "remove", "import",
    "database-url", "doctor", "account create", "account list", "account key rotate",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_server_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SERVER", "API_KEY", "DATABASE_URL", "LOG_LEVEL"):
        monkeypatch.delenv(f"SYNCTABLES_{name}", raising=False)
    monkeypatch.setenv("SYNCTABLES_DATA_DIR", str(tmp_path / "data"))


def _error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a failing command may print."""
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Error: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["serv"], "Did you mean 'serve'"),
        (["--frobnicate"], "No such option"),
        (["account"], "Missing command"),
        (["account", "key"], "Missing command"),
        (["account", "create"], "NAME"),
        (["account", "key", "rotate"], "NAME"),
        (["serve", "--port", "x"], "'--port'"),
        (["serve", "--port", "65536"], "'--port'"),
        (["serve", "--port"], "requires an argument"),
        (["serve", "--host", "no such host"], "not an address of this machine"),
        (["serve", "extra"], "extra"),
        (["serve", "--data-dir", __file__], "is a file"),
        (["worker", "--port", "1"], "No such option"),
        (["add"], "URL"),
        (["add", "http://x", "--interval", "soon"], "'soon' is not an interval"),
        (["add", "http://x", "--interval", "0"], "'0' is not an interval"),
        (["show"], "ID-or-NAME"),
        (["sync"], "ID-or-NAME"),
        (["log"], "ID-or-NAME"),
        (["remove"], "ID-or-NAME"),
        (["import"], "FILE-or-URL"),
        (["import", "/no/such/file.csv"], "No such file or directory"),
        (["import", "/"], "Is a directory"),
        (["list", "--server", "localhost", "--api-key", "k"], "is not a server's address"),
        (["list", "--server", "ftp://x", "--api-key", "k"], "is not a server's address"),
        (["list", "--server", "http://x:port", "--api-key", "k"], "is not a server's address"),
        (["list", "--server", "http://x", "--api-key", "k\né"], "no key has"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_code_2(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert part in _error_of(capsys)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["list"], "No `synctables serve` runs on"),
        (["database-url"], "Start `synctables serve` first"),
        (["account", "list"], "Start `synctables serve` first"),
        (["worker"], "Start `synctables serve` first"),
        (["list", "--server", "http://127.0.0.1:1", "--api-key", "k"], "nothing listens there"),
        (["list", "--server", "http://no.invalid", "--api-key", "k"], "does not resolve"),
        (["list", "--server", "http://127.0.0.1:1"], "No key for http://127.0.0.1:1"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_1(
    arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 1
    assert part in _error_of(capsys)


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    assert f"Usage: synctables {command}" in capsys.readouterr().out


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage: synctables" in capsys.readouterr().out


def test_a_wrong_setting_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTABLES_RUN_CONCURRENCY", "many")
    assert run(["list"]) == 1
    assert "SYNCTABLES_RUN_CONCURRENCY" in _error_of(capsys)


def test_a_database_that_does_not_answer_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCTABLES_DATABASE_URL", "postgresql://nobody:word@127.0.0.1:1/none")
    assert run(["account", "list"]) == 1
    complaint = _error_of(capsys)
    assert "The database cannot be reached" in complaint
    assert "word" not in complaint


def test_a_server_that_is_no_synctables_is_said_to_be_none(
    file_server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    file_server.put("/api/v1/synchronizations", b"<h1>Hello</h1>", content_type="text/html")
    assert run(["list", "--server", file_server.base_url, "--api-key", "k"]) == 1
    assert "Is it a Synctables server?" in _error_of(capsys)


def test_a_redirecting_server_is_not_followed_with_the_key(
    file_server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    file_server.redirect("/api/v1/synchronizations", to="https://elsewhere.example/")
    assert run(["list", "--server", file_server.base_url, "--api-key", "k"]) == 1
    assert "https://elsewhere.example/" in _error_of(capsys)


def test_the_local_key_goes_only_to_its_own_server(
    file_server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = LocalAccess(server="http://127.0.0.1:1", account="main", api_key="local-key")
    write_local_access(tmp_path / "data", local)
    assert run(["list", "--server", file_server.base_url]) == 1
    assert "No key for" in _error_of(capsys)
    assert file_server.requests() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"server": "http://x"}', "\x00"])
def test_a_broken_local_access_is_an_error_with_a_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "local.json").write_text(content)
    with pytest.raises(SynctablesError, match="Start it again"):
        read_local_access(tmp_path)


def test_the_module_is_the_command() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "synctables", "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("synctables ")
    assert ended.stderr == ""
