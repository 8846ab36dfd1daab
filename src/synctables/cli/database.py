"""``synctables database-url`` and ``synctables doctor``: what is underneath."""

from typing import TYPE_CHECKING

import typer

from synctables.cli.options import AsJson, DataDir
from synctables.cli.output import print_json, printable, say
from synctables.cli.places import find_database_url, read_settings

if TYPE_CHECKING:
    from synctables.localpg import Finding


def register(app: typer.Typer) -> None:
    app.command("database-url")(database_url)
    app.command()(doctor)


def database_url(data_dir: DataDir = None) -> None:
    """Print the address of the database's owner, for psql and other programs."""
    typer.echo(find_database_url(read_settings(data_dir)))


def doctor(*, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what is installed and what is missing, with the line that mends it."""
    from synctables.cli.diagnosis import examine

    findings = examine(read_settings(data_dir))
    if as_json:
        print_json([_as_json(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _print(finding: "Finding") -> None:
    say(f"{'ok' if finding.ok else 'MISSING'} - {finding.subject}: {finding.detail}")
    if finding.remedy:
        typer.echo(f"    {printable(finding.remedy)}")


def _as_json(finding: "Finding") -> dict[str, object]:
    return {
        "subject": finding.subject,
        "ok": finding.ok,
        "detail": finding.detail,
        "remedy": finding.remedy,
    }
