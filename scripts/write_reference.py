"""Writes the pages of docs/reference/ from the code: settings, commands, API, error codes.

With ``--check`` nothing is written; the exit code is 1 where a page is not current.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from synctables import errors
from synctables.api.problems import STATUS_BY_ERROR
from synctables.cli import app as command_line
from synctables.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "schemas" / "openapi.json"
PAGES = ROOT / "docs" / "reference"
NOTE = "<!-- Written by scripts/write_reference.py from the code. Do not edit. -->"

CLIENT_VARIABLES = {
    "SYNCTABLES_SERVER": "address of the server that the commands speak to; `--server` wins",
    "SYNCTABLES_API_KEY": "key of the account that the commands act for; `--api-key` wins",
}


def main() -> int:
    """Write or check all pages. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say which pages are not current")
    check_only = parser.parse_args().check
    stale = [path for path, text in make_pages().items() if not _is_current(path, text)]
    for path in stale:
        sys.stdout.write(
            f"{path.relative_to(ROOT)} {'is not current' if check_only else 'written'}\n"
        )
        if not check_only:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(make_pages()[path], encoding="utf-8")
    return 1 if check_only and stale else 0


def make_pages() -> dict[Path, str]:
    """The text of each reference page, by path."""
    pages = {
        "settings.md": settings_page(),
        "commands.md": commands_page(),
        "api.md": api_page(),
        "errors.md": errors_page(),
    }
    return {PAGES / name: "\n".join([NOTE, "", *lines]) + "\n" for name, lines in pages.items()}


def _is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def settings_page() -> Iterator[str]:
    """A heading for each setting, and for the variables that only the commands read."""
    yield from ["# Settings", ""]
    yield "Each is an environment variable. Empty means unset. An option on the command line wins."
    for name, field in Settings.model_fields.items():
        yield from ["", f"## SYNCTABLES_{name.upper()}", ""]
        yield _sentence(field.description or "")
        yield from ["", f"Default: {_default(field.default)}"]
    for name, description in CLIENT_VARIABLES.items():
        yield from ["", f"## {name}", "", _sentence(description)]


def _default(value: object) -> str:
    if value is None or value == ():
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"`{','.join(map(str, value))}`"
    return f"`{value:,}`".replace(",", "") if isinstance(value, int) else f"`{value}`"


def commands_page() -> Iterator[str]:
    """A heading for each command, with its arguments and options."""
    yield from ["# Commands", "", "Exit codes: 0 it worked, 1 it did not, 2 wrong arguments."]
    yield from ["", "Every command takes `--help`."]
    for name, command in _walk_commands("synctables", get_command(command_line)):
        yield from ["", f"## {name}", ""]
        yield "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
        shown = [parameter for parameter in command.params if _is_shown(parameter)]
        if shown:
            yield from ["", "| argument | does | default |", "|---|---|---|"]
            yield from (_parameter_row(parameter) for parameter in shown)


def _walk_commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that carries something out, with its full name."""
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if not subcommands:
        yield name, command
    for part, subcommand in subcommands.items():
        if not subcommand.hidden:
            yield from _walk_commands(f"{name} {part}", subcommand)


def _is_shown(parameter: Any) -> bool:
    return parameter.name != "help" and not getattr(parameter, "hidden", False)


def _parameter_row(parameter: Any) -> str:
    is_argument = parameter.param_type_name == "argument"
    takes_value = not is_argument and not parameter.is_flag
    value = f" {parameter.metavar or parameter.name.upper()}" if takes_value else ""
    written = parameter.metavar if is_argument else ", ".join(parameter.opts) + value
    cells = (f"`{written}`", _in_cell(parameter.help or ""), _in_cell(_shown_default(parameter)))
    return f"| {' | '.join(cells)} |"


def _shown_default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.required:
        return "required"
    if parameter.default in (None, False):
        return ""
    return f"`{parameter.default}`"


def api_page() -> Iterator[str]:
    """A heading for each call, with its parameters and answers; then the objects in answers."""
    contract = json.loads(CONTRACT.read_text(encoding="utf-8"))
    objects = contract["components"]["schemas"]
    yield from ["# API", "", contract["info"]["description"]]
    yield from ["", "[Compatibility](../compatibility.md) says what each attribute means, and"]
    yield "[error codes](errors.md) what the statuses mean. The same as a contract for programs is"
    yield "at `/openapi.json` and in `schemas/`."
    for path, calls in contract["paths"].items():
        for method, call in calls.items():
            yield from _call_lines(method.upper(), path, call, objects)
    yield from ["", "# Objects"]
    for name in sorted(set(_answer_objects(contract))):
        yield from _object_lines(name, objects)


def _call_lines(
    method: str, path: str, call: dict[str, Any], objects: dict[str, Any]
) -> Iterator[str]:
    yield from ["", f"## {method} {path}", ""]
    yield _prose(call.get("description") or call.get("summary", ""))
    if kinds := call.get("requestBody", {}).get("content"):
        yield from ["", f"Body: {_listed(kinds)}."]
        keys = _body_keys(kinds, objects)
        yield from _key_table(keys, objects) if keys else ()
    answers = [
        f"{status} {_linked(answer)}".strip() for status, answer in call["responses"].items()
    ]
    yield from ["", f"Answers: {', '.join(answers)}."]


def _body_keys(kinds: dict[str, Any], objects: dict[str, Any]) -> dict[str, Any]:
    """Every key that any kind of body may hold, once."""
    keys: dict[str, Any] = {}
    for kind in kinds.values():
        for part in [kind["schema"], *kind["schema"].get("allOf", [])]:
            keys |= objects.get(_name_of(part), part).get("properties", {})
    return keys


def _key_table(keys: dict[str, Any], objects: dict[str, Any]) -> Iterator[str]:
    yield from ["", "| key | type | means |", "|---|---|---|"]
    for key, about in keys.items():
        meaning = _in_cell(_prose(about.get("description", "")))
        yield f"| `{key}` | {_type_of(about, objects)} | {meaning} |"


def _type_of(schema: dict[str, Any], objects: dict[str, Any]) -> str:
    """A schema's type in words, such as ``text or null``; of an enumeration, its words."""
    if choices := schema.get("anyOf"):
        return " or ".join(_type_of(choice, objects) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type_of(schema['items'], objects)}"
    name = _name_of(schema)
    words = objects.get(name, schema).get("enum")
    if words:
        return _listed(words)
    kind = str(schema.get("type", "any"))
    return name or {"string": str(schema.get("format", "text"))}.get(kind, kind)


def _object_lines(name: str, objects: dict[str, Any]) -> Iterator[str]:
    yield from ["", f"### {name}"]
    if description := objects[name].get("description"):
        yield from ["", _prose(description)]
    yield from _key_table(objects[name]["properties"], objects)


def _answer_objects(contract: dict[str, Any]) -> Iterator[str]:
    """Names of the objects that calls answer with, and of those inside them."""
    answers = (call["responses"] for calls in contract["paths"].values() for call in calls.values())
    found = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(list(answers))))
    objects = contract["components"]["schemas"]
    while found:
        name = found.pop()
        if "properties" in objects[name]:
            yield name
            found |= set(re.findall(r"#/components/schemas/(\w+)", json.dumps(objects[name])))


def _linked(answer: dict[str, Any]) -> str:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = _name_of(schema)
    return f"[{name}](#{name.lower()})" if name else ""


def _name_of(schema: dict[str, Any]) -> str:
    """Name of the object that a schema refers to, or nothing."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _prose(text: str) -> str:
    """A docstring's text in Markdown."""
    return text.strip().replace("``", "`")


def errors_page() -> Iterator[str]:
    """A heading for each code of a failed run, and the statuses of the API."""
    yield from ["# Error codes", ""]
    yield "A run that fails leaves one of these codes on its sync or import, with a title, a hint"
    yield "and the particular of the case. The table keeps its last good contents."
    yield ""
    yield "What happens next: after a *transient* failure the run is tried again after 1, 2, 4 …"
    yield "minutes, after a *terminal* one after 1, 2, 4 … intervals, in both cases a day at most"
    yield "(or the interval, where that is longer)."
    for code, classes in sorted(_errors_by_code().items()):
        yield from ["", f"## {code} {classes[0].title}"]
        for error in classes:
            kind = "transient" if error.transient else "terminal"
            yield from ["", error.hint, "", f"{kind.capitalize()}. Cause: {error.blame}."]
    yield from ["", "# Codes that are never set", ""]
    yield "The table of the Sync Tables API has these too. Nothing leads to them here."
    yield from ["", "| code | title | why |", "|---|---|---|"]
    yield from (f"| {code} | {retired.title} | {retired.hint} |" for code, retired in _retired())
    yield from ["", "# Statuses of the API", "", "| status | when |", "|---|---|"]
    yield from _status_rows()


def _retired() -> list[tuple[int, errors.RetiredCode]]:
    return sorted(errors.RETIRED_CODES.items())


def _errors_by_code() -> dict[int, list[type[errors.RunError]]]:
    by_code: dict[int, list[type[errors.RunError]]] = {}
    for error in _descendants(errors.RunError):
        if "code" in vars(error):
            by_code.setdefault(error.code, []).append(error)
    return by_code


def _descendants(base: type[errors.RunError]) -> Iterator[type[errors.RunError]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from _descendants(subclass)


def _status_rows() -> Iterator[str]:
    """Each status once, told by the first of our own errors that has it."""
    told: dict[int, str] = {}
    for error, status in STATUS_BY_ERROR.items():
        if issubclass(error, errors.SynctablesError):
            meaning = (error.__doc__ or "").strip().splitlines()[0]
            told.setdefault(status, re.sub(r" \(\d+\)", "", meaning))
    yield from (f"| {status} | {_in_cell(meaning)} |" for status, meaning in sorted(told.items()))


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    sys.exit(main())
