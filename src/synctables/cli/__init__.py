"""The command line: ``synctables``.

Modules are named after what their commands are about. Heavy imports (database, web server, rich)
happen inside the commands, because ``synctables --help`` should answer at once.
"""

import logging
import os
import sys
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from synctables.cli import (
    accounts,
    database,
    drives,
    imports,
    parts,
    plans,
    previews,
    serve,
    syncs,
)
from synctables.cli.output import complain
from synctables.errors import InvalidRequestError, SynctablesError

PROGRAM = "synctables"

app = typer.Typer(
    name=PROGRAM,
    help="A remote file becomes a PostGIS table that stays equal to the file, unattended.",
    epilog="Start with `synctables serve`, then `synctables add URL --wait` beside it.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _program(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        from synctables import __version__

        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


serve.register(app)
parts.register(app)
syncs.register(app)
previews.register(app)
imports.register(app)
drives.register(app)
accounts.register(app)
plans.register(app)
database.register(app)


def main() -> NoReturn:
    """The console script: runs the command that the arguments name and ends the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; every error is one line on stderr.

    Returns the exit code: 0, 1 (it did not work), 2 (wrong arguments) or 130 (Ctrl-C).
    """
    try:
        result = get_command(app).main(
            args=arguments or ["--help"], prog_name=PROGRAM, standalone_mode=False
        )
    except typer.TyperException as error:
        complain(_with_help(error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except SynctablesError as error:
        complain(str(error))
        return 2 if isinstance(error, InvalidRequestError) else 1
    except Exception as error:  # noqa: BLE001 - the outermost rim: nobody wants a traceback
        return _unforeseen(error)
    return result if isinstance(result, int) else 0


def _with_help(error: typer.TyperException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    return f"{message.rstrip('.?!')}. See `{context.command_path} --help`."


def _unforeseen(error: Exception) -> int:
    if os.environ.get("SYNCTABLES_LOG_LEVEL", "").upper() == "DEBUG":
        logging.getLogger(__name__).error("The command failed", exc_info=error)
    complain(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    return 1
