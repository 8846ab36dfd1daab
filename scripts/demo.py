"""`make demo`: six real files that change every few seconds, and the tables that follow them.

With ``--once``: one import and one refresh of each, checked against the files; exit code 0 only
if every table equals its file both times.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import psycopg
from rich.console import Console

from demonstration.files import ChangingFile, publish_files
from demonstration.live import run_live
from demonstration.once import Followed, run_once
from demonstration.server import run_file_server
from demonstration.service import Service, ServiceError, run_service, synctables_command
from demonstration.sources import MissingPackageError
from demonstration.watch import connect

PACKAGES = Path(__file__).resolve().parent.parent / "node_modules"

LIVE_INTERVAL_SECONDS = 5
ONCE_INTERVAL_SECONDS = 3600
"""Longer than the demo lasts: with ``--once`` the only refresh is the one that is asked for."""

INTERRUPTED = 130
"""Exit code of a round that was not finished, as shells have it."""


def main() -> int:
    """Run the demo. Returns the exit code."""
    arguments = _parse_arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console(highlight=False)
    run = _run_cloud if arguments.cloud else _run
    try:
        return run(arguments, console=console)
    except KeyboardInterrupt:
        console.print("The demo is over.")
        return INTERRUPTED if arguments.once else 0
    except (ServiceError, MissingPackageError, psycopg.Error, OSError) as error:
        sys.stderr.write(f"The demo failed: {' '.join(str(error).split())}\n")
        return 1


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="one import, one refresh, then end")
    parser.add_argument(
        "--cloud", action="store_true", help="files in cloud drives, at local doubles of them"
    )
    parser.add_argument("--port", type=int, default=0, help="port of the service; 0: a free one")
    parser.add_argument("--data-dir", type=Path, help="a new directory to use, and to keep")
    parser.add_argument(
        "--packages", type=Path, default=PACKAGES, help="the node_modules with the real data"
    )
    return parser.parse_args()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(arguments: argparse.Namespace, *, console: Console) -> int:
    started_at = time.monotonic()
    with run_file_server() as server:
        files = publish_files(arguments.packages, server=server)
        console.print("Starting Synctables with a PostgreSQL of its own …")
        with (
            run_service(arguments.data_dir, port=arguments.port) as service,
            connect(service.database_url) as connection,
        ):
            _introduce(service, files, console=console)
            interval = ONCE_INTERVAL_SECONDS if arguments.once else LIVE_INTERVAL_SECONDS
            followed = [_follow(service, file, interval_seconds=interval) for file in files]
            if not arguments.once:
                run_live(service, connection, followed, console=console)

            def say(line: str) -> None:
                console.print(line, soft_wrap=True, markup=False)

            if not run_once(service, connection, followed, say=say):
                return 1
    elapsed_seconds = time.monotonic() - started_at
    console.print(f"Six files imported and refreshed in {elapsed_seconds:.0f} s.")
    return 0


def _run_cloud(arguments: argparse.Namespace, *, console: Console) -> int:
    from demonstration.cloud import run_cloud_service, tour

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    say("Starting Synctables, and doubles of three cloud drives on this machine …")
    with run_cloud_service(arguments.data_dir, port=arguments.port) as (service, drives):
        tour(service, drives, say=say)
        if not arguments.once:
            say(_CLOUD_HINT.format(service=service))
            signal.pause()
    return 0


_CLOUD_HINT = """
Now you: ask {service.address}/api/v1/imports/service/dropbox/auth_url?api_key={service.api_key}
and open the address that it answers with. The browser warns, because nobody else vouches for the
double's certificate. Ctrl-C ends the demo."""


def _follow(service: Service, file: ChangingFile, *, interval_seconds: int) -> Followed:
    """Create a sync through the API, as any client would."""
    body = {"url": file.url, "interval": interval_seconds}
    answer = service.call("POST", "/api/v1/synchronizations", body)
    return Followed(file=file, sync_id=answer["id"])


def _introduce(service: Service, files: list[ChangingFile], *, console: Console) -> None:
    api = f"{service.address}/api/v1"
    program = shlex.join(_shorten(part) for part in synctables_command())
    lines = f"""
Address   {service.address}
API key   {service.api_key}
Syncs     curl -H "Authorization: Bearer {service.api_key}" {api}/synchronizations
Tables    psql "$({program} database-url --data-dir {service.data_dir})" -c "\\d main.*"
A file    {files[0].url}
"""
    console.print(lines, soft_wrap=True, markup=False)


def _shorten(path: str) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


if __name__ == "__main__":
    sys.exit(main())
