"""What every paged source does, and how its features get into one file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from synctables.datasources.base import Fetched, SourceVersion
from synctables.datasources.file_names import DEFAULT_FILE_NAME, safe_file_name
from synctables.datasources.sink import FileSink
from synctables.errors import DiskFullError, PartialFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from synctables.datasources.page_client import PageClient

Feature = dict[str, Any]
"""A GeoJSON Feature (RFC 7946 section 3.2)."""

GEOJSON = "application/geo+json"

_BATCH = 1_000


class PagedSource(Protocol):
    """A collection at one address."""

    async def bring(self, client: PageClient, into: Path) -> Fetched | None:
        """The whole collection as a file in ``into``; None: the address leads to something else.

        Raises a `RunError`, `PartialFileError` where the pages do not fit together.
        """
        ...


class FeatureFile:
    """A GeoJSON file being written; valid as soon as `finish` returns, also without features."""

    def __init__(
        self, into: Path, *, name: str, max_bytes: int, crs: dict[str, Any] | None = None
    ) -> None:
        stem = safe_file_name(name) or DEFAULT_FILE_NAME
        self.file_name = safe_file_name(f"{stem}.geojson")
        self._sink = FileSink(into / self.file_name, max_bytes=max_bytes)
        self._crs = crs
        self._is_empty = True

    async def write(self, features: Sequence[str]) -> None:
        """Append features, each as JSON text."""
        if not features:
            return
        start = self._head() if self._is_empty else ",\n"
        self._is_empty = False
        await self._sink.add((start + ",\n".join(features)).encode())

    async def finish(self) -> Fetched:
        """Close the file and say what it is."""
        await self._sink.add(((self._head() if self._is_empty else "") + "\n]}\n").encode())
        await self._sink.finish()
        return Fetched(
            path=self._sink.path,
            file_name=self.file_name,
            content_type=GEOJSON,
            size_bytes=self._sink.size_bytes,
            version=SourceVersion(content_sha256=self._sink.sha256),
            http_status=200,
        )

    def close(self) -> None:
        self._sink.close()

    def _head(self) -> str:
        crs = f'"crs":{json.dumps(self._crs)},' if self._crs else ""
        return f'{{"type":"FeatureCollection",{crs}"features":[\n'


class Spool:
    """Features put aside on disk, to come back in the order of their ids.

    Features without an id come back in the order of their hashes. Every method that touches the
    disk runs in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".spool"
        self.count = 0
        with _spool_errors():
            self._store = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._store.execute("PRAGMA journal_mode = OFF")
            self._store.execute("PRAGMA synchronous = OFF")
            self._store.execute(
                "CREATE TABLE features (id TEXT, number INTEGER, feature TEXT,"
                " PRIMARY KEY (id, number)) WITHOUT ROWID"
            )

    async def add(self, features: Sequence[Feature]) -> None:
        """Put a page aside. Raises `PartialFileError` for an id that was there before."""
        await asyncio.to_thread(self._add, features)
        self.count += len(features)

    async def write_to(self, file: FeatureFile) -> None:
        with _spool_errors():
            rows = self._store.execute("SELECT feature FROM features ORDER BY id, number")
        while batch := await asyncio.to_thread(rows.fetchmany, _BATCH):
            await file.write([feature for (feature,) in batch])

    def close(self) -> None:
        """Remove the spool."""
        self._store.close()
        self._path.unlink(missing_ok=True)

    def _add(self, features: Sequence[Feature]) -> None:
        try:
            with _spool_errors():
                self._store.execute("BEGIN")
                self._store.executemany(
                    "INSERT INTO features VALUES (?, ?, ?)", self._rows(features)
                )
                self._store.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            raise PartialFileError(
                "The server sent one feature twice: its pages overlap, or the data changed."
            ) from error

    def _rows(self, features: Sequence[Feature]) -> Iterator[tuple[str, int, str]]:
        for number, feature in enumerate(features, self.count + 1):
            text = as_text(feature)
            if feature.get("id") is None:
                yield sha256(text.encode()).hexdigest(), number, text
            else:
                yield json.dumps(feature["id"]), 0, text


@contextlib.contextmanager
def _spool_errors() -> Iterator[None]:
    """A full disk, as SQLite reports it, is a `DiskFullError` here too."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise DiskFullError("The disk of this server was full while the pages came.") from error


def as_text(feature: Feature) -> str:
    """A feature as JSON on one line; what is no valid text (lone surrogates) stays escaped."""
    text = json.dumps(feature, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(feature, separators=(",", ":"), allow_nan=False)
    return text


def check_features(found: object) -> list[Feature]:
    """The features of a FeatureCollection; `PartialFileError` where it holds anything else."""
    features = found.get("features") if isinstance(found, dict) else None
    if not isinstance(features, list) or not all(isinstance(one, dict) for one in features):
        raise PartialFileError("A page of the collection holds no features.")
    return features
