"""The manual keeps up with the code, and what it tells a reader to type exists."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from synctables import errors
from synctables.cli import app
from synctables.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def _headings(page: str) -> set[str]:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return set(re.findall(r"^## (.+)$", text, re.MULTILINE))


def _commands(name: str, command: Any) -> Iterator[str]:
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if not subcommands:
        yield name
    for part, subcommand in subcommands.items():
        yield from _commands(f"{name} {part}", subcommand)


def _error_classes(base: type[errors.RunError]) -> Iterator[type[errors.RunError]]:
    for subclass in base.__subclasses__():
        if "code" in vars(subclass):
            yield subclass
        yield from _error_classes(subclass)


COMMANDS = set(_commands("synctables", get_command(app)))


def test_the_reference_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"Run scripts/write_reference.py. {done.stdout}{done.stderr}"


def test_every_setting_has_a_heading() -> None:
    names = {f"SYNCTABLES_{name.upper()}" for name in Settings.model_fields}
    assert names <= _headings("settings.md")


def test_every_command_has_a_heading() -> None:
    assert _headings("commands.md") == COMMANDS


def test_every_call_has_a_heading() -> None:
    contract = json.loads((ROOT / "schemas" / "openapi.json").read_text(encoding="utf-8"))
    calls = {
        f"{method.upper()} {path}" for path, item in contract["paths"].items() for method in item
    }
    assert _headings("api.md") == calls


def test_every_error_code_has_a_heading() -> None:
    codes = {str(error.code) for error in _error_classes(errors.RunError)}
    assert {heading.split()[0] for heading in _headings("errors.md")} == codes


def test_every_decision_is_in_the_index() -> None:
    records = {path.name for path in ROOT.glob("docs/decisions/[0-9]*.md")}
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([0-9][^)]+)\)", index)) == records


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    local = [target for target in targets if target and not target.startswith("https://")]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_tells_to_type_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    typed = set(re.findall(r"(?:^|[(`/])(synctables(?: [a-z-]+)+)", text, re.MULTILINE))
    assert [
        line for line in typed if not any(f"{line} ".startswith(f"{c} ") for c in COMMANDS)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_a_page_tells_to_type_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    typed = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert typed <= targets
