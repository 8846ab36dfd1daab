"""Each cloud drive in one shape: a double that listens, the settings for it, and what users do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import requests
import trustme

from doubles.box import BoxDouble
from doubles.dropbox import DropboxDouble
from doubles.gdrive import GoogleDriveDouble
from doubles.oauth import Authority
from doubles.server import Seen, Trouble, run_double


class _Double(Protocol):
    base_url: str
    authority: Authority
    trouble: Trouble


@dataclass(frozen=True, kw_only=True)
class DriveDouble:
    """One service with a user in front of it."""

    service: str
    double: _Double
    ca_file: str
    is_download: Callable[[Seen], bool]
    """Whether a request asked for a file's bytes."""
    put: Callable[[str, bytes], str]
    """Puts a file into the root, or a new version of it. Returns its id."""
    delete: Callable[[str], None]

    @property
    def settings(self) -> Mapping[str, Any]:
        authority = self.double.authority
        return {
            f"{self.service}_client_id": authority.client_id,
            f"{self.service}_client_secret": authority.client_secret,
            f"{self.service}_endpoint": self.double.base_url,
            "drive_ca_file": self.ca_file,
        }

    @property
    def download_count(self) -> int:
        return sum(1 for seen in self.double.trouble.seen() if self.is_download(seen))

    def let_token_expire(self) -> None:
        """Time passes for the service: access tokens end, refresh tokens do not."""
        self.double.authority.advance(timedelta(hours=2))

    def revoke(self) -> None:
        """The user takes the consent back, at the service."""
        self.double.authority.revoke_everything()

    def agree(self, auth_url: str) -> str:
        """The user agrees on the page of consent. Returns where the browser is sent."""
        page = requests.get(auth_url, verify=self.ca_file, timeout=20)
        page.raise_for_status()
        answer = requests.get(
            f"{auth_url}&approve=1", verify=self.ca_file, timeout=20, allow_redirects=False
        )
        answer.raise_for_status()
        return answer.headers["Location"]


@contextmanager
def run_dropbox(ca: trustme.CA, ca_file: Path) -> Iterator[DriveDouble]:
    double = DropboxDouble()
    with run_double(double, ca):
        yield DriveDouble(
            service="dropbox",
            double=double,
            ca_file=str(ca_file),
            is_download=lambda seen: seen.path == "/2/files/download",
            put=lambda name, content: double.files.put(f"/{name}", content),
            delete=lambda name: double.files.delete(f"/{name}"),
        )


@contextmanager
def run_box(ca: trustme.CA, ca_file: Path) -> Iterator[DriveDouble]:
    double = BoxDouble()
    ids: dict[str, str] = {}

    def put(name: str, content: bytes) -> str:
        ids[name] = double.items.put(name, content)
        return ids[name]

    with run_double(double, ca):
        yield DriveDouble(
            service="box",
            double=double,
            ca_file=str(ca_file),
            is_download=lambda seen: seen.path.startswith("/d/1/"),
            put=put,
            delete=lambda name: double.items.trash(ids[name]),
        )


@contextmanager
def run_google_drive(ca: trustme.CA, ca_file: Path) -> Iterator[DriveDouble]:
    double = GoogleDriveDouble()
    ids: dict[str, str] = {}

    def put(name: str, content: bytes) -> str:
        if name in ids:
            double.store.change(ids[name], content)
        else:
            ids[name] = double.store.put(name, content)
        return ids[name]

    with run_double(double, ca):
        yield DriveDouble(
            service="gdrive",
            double=double,
            ca_file=str(ca_file),
            is_download=lambda seen: "alt=media" in seen.query,
            put=put,
            delete=lambda name: double.store.trash(ids[name]),
        )


RUNNERS: Mapping[str, Callable[[trustme.CA, Path], AbstractContextManager[DriveDouble]]] = {
    "gdrive": run_google_drive,
    "dropbox": run_dropbox,
    "box": run_box,
}
"""By the service's name; each takes who vouches for the double, and that certificate's file."""
