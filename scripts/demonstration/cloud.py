"""`make demo CLOUD=1`: three cloud drives from consent to revocation, at local doubles.

Each step is done as a user does it: by the API, and on the service's own page of consent.
"""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import trustme
from psycopg import sql

from demonstration.service import ENVIRONMENT, Service, ServiceError, run_service
from doubles.drives import RUNNERS, DriveDouble
from doubles.server import write_authority

FILE_NAME = "stations.csv"
RUN_SECONDS = 60.0
POLL_SECONDS = 0.1

_FIRST = ("Oslo S,59.911,10.753", "Voss,60.629,6.411", "Bergen,60.390,5.333")
_SECOND = (*_FIRST[:-1], "Bergen,60.391,5.334", "Myrdal,60.735,7.123")

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Tour:
    """One service, with the account's API at hand."""

    service: Service
    drive: DriveDouble
    say: Say

    def go(self) -> None:
        """All of it. Raises `ServiceError` where a step does not end as it should."""
        item_id = self.drive.put(FILE_NAME, _content(_FIRST))
        self._connect()
        self._pick(item_id)
        sync = self._create(item_id)
        self._refresh(sync, expect=_FIRST, word="unchanged", downloads=1)
        self.drive.put(FILE_NAME, _content(_SECOND))
        self._refresh(sync, expect=_SECOND, word="changed", downloads=2)
        self.drive.let_token_expire()
        self.drive.put(FILE_NAME, _content(_FIRST))
        self._refresh(sync, expect=_FIRST, word="token renewed", downloads=3)
        self._revoke(sync)

    def _connect(self) -> None:
        way_back = self.drive.agree(self._call("GET", "auth_url")["url"])
        _visit(way_back)
        if not self._call("GET", "token_valid")["oauth_valid"]:
            raise ServiceError(f"{self.drive.service}: not connected")
        self._tell("connected, by the page of consent")

    def _pick(self, item_id: str) -> None:
        files = self._call("GET", "list_files")["files"]
        if [file["id"] for file in files] != [item_id]:
            raise ServiceError(f"{self.drive.service}: unexpected files {files}")
        self._tell(f"picked {files[0]['filename']} of {len(files)} file")

    def _create(self, item_id: str) -> Mapping[str, Any]:
        body = {
            "service_name": self.drive.service,
            "service_item_id": item_id,
            "interval": 3600,
            "table_name": f"stations_{self.drive.service}",
        }
        sync = self.service.call("POST", "/api/v1/synchronizations", body)
        ended = self._await_end(sync["id"])
        self._check(ended, expect=_FIRST, downloads=1)
        self._tell(f"imported into {ended['name']}")
        return dict(ended)

    def _refresh(
        self, sync: Mapping[str, Any], *, expect: tuple[str, ...], word: str, downloads: int
    ) -> None:
        ended = self._run(sync)
        self._check(ended, expect=expect, downloads=downloads)
        self._tell(f"refreshed, {word}: {len(expect)} rows, {downloads} downloads so far")

    def _revoke(self, sync: Mapping[str, Any]) -> None:
        self.drive.revoke()
        ended = self._run(sync)
        if ended["state"] != "failure":
            raise ServiceError(f"{self.drive.service}: read although the consent was withdrawn")
        self._tell(f"revoked: {ended['error_code']} {ended['error_message']}")

    def _run(self, sync: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.service.call("PUT", f"/api/v1/synchronizations/{sync['id']}/sync_now")
        if not answer["enqueued"]:
            raise ServiceError(f"{self.drive.service}: sync_now was refused")
        return self._await_end(sync["id"])

    def _check(self, sync: Mapping[str, Any], *, expect: tuple[str, ...], downloads: int) -> None:
        if sync["state"] != "success":
            raise ServiceError(f"{self.drive.service}: {sync['error_message']}")
        if self.drive.download_count != downloads:
            raise ServiceError(f"{self.drive.service}: {self.drive.download_count} downloads")
        rows = _rows(self.service.database_url, sync["name"])
        if rows != sorted(expect):
            raise ServiceError(f"{self.drive.service}: the table is not the file: {rows}")

    def _await_end(self, sync_id: str) -> Mapping[str, Any]:
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            self.service.ensure_running()
            sync: Mapping[str, Any] = self.service.call(
                "GET", f"/api/v1/synchronizations/{sync_id}"
            )
            if sync["state"] in ("success", "failure"):
                return sync
            time.sleep(POLL_SECONDS)
        raise ServiceError(f"{self.drive.service}: the run did not end in {RUN_SECONDS:.0f} s")

    def _call(self, method: str, verb: str) -> Any:
        return self.service.call(method, f"/api/v1/imports/service/{self.drive.service}/{verb}")

    def _tell(self, what: str) -> None:
        self.say(f"{self.drive.service:<8} {what}")


@contextmanager
def run_cloud_service(
    given: Path | None, *, port: int
) -> Iterator[tuple[Service, list[DriveDouble]]]:
    """A service that is set up for all drives, and their doubles."""
    ca = trustme.CA()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="synctables-ca-")))
        folder.chmod(0o755)
        ca_file = write_authority(ca, folder / "authority.pem")
        drives = [stack.enter_context(run(ca, ca_file)) for run in RUNNERS.values()]
        environment = dict(ENVIRONMENT)
        for drive in drives:
            environment |= {
                f"SYNCTABLES_{name.upper()}": str(value) for name, value in drive.settings.items()
            }
        yield stack.enter_context(run_service(given, port=port, environment=environment)), drives


def tour(service: Service, drives: list[DriveDouble], *, say: Say) -> None:
    """Show every drive, one after the other. Raises `ServiceError`."""
    for drive in drives:
        _Tour(service=service, drive=drive, say=say).go()


def _content(rows: tuple[str, ...]) -> bytes:
    return "\n".join(("name,lat,lon", *rows, "")).encode()


def _rows(database_url: str, table: str) -> list[str]:
    query = sql.SQL("SELECT name, lat::text, lon::text FROM {}").format(
        sql.Identifier("main", table)
    )
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(query).fetchall()
    return sorted(f"{name},{float(lat):.3f},{float(lon):.3f}" for name, lat, lon in rows)


def _visit(address: str) -> None:
    """As the user's browser does."""
    with urllib.request.urlopen(address, timeout=20, context=ssl.create_default_context()):  # noqa: S310  # our own server's address
        pass
