"""One file on its way to disk, across as many connections as it takes.

The promise: what ends up on disk is one version of the file, whole, or an error. A body goes on
after a broken connection only where the server vouches, by a strong validator, that it is still
the same; otherwise it begins anew, a few times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synctables.datasources.file_names import choose_file_name
from synctables.datasources.http_errors import http_errors
from synctables.datasources.representation import Representation
from synctables.datasources.sink import FileSink, check_size
from synctables.errors import DownloadTimeoutError, PartialFileError

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from synctables.datasources.base import OnBytes
    from synctables.datasources.web_address import WebAddress

_MAX_FRUITLESS_ATTEMPTS = 5
_MAX_RESTARTS = 3
_SLOWEST_BYTES_PER_SECOND = 1_000
_PARTIAL = 206
_RANGE_REFUSALS = (412, 416)


class Pace:
    """Tells a slow source from one that only drips, and would hold a worker for ever.

    Over each window the source must average 1,000 bytes a second.
    """

    def __init__(self, window_seconds: float, *, now: float) -> None:
        self._window_seconds = window_seconds
        self._began = now
        self._bytes = 0

    def is_too_slow(self, byte_count: int, *, now: float) -> bool:
        """Count bytes that just came; true at the end of a window that was too slow."""
        self._bytes += byte_count
        elapsed = now - self._began
        if elapsed < self._window_seconds:
            return False
        is_slow = self._bytes < elapsed * _SLOWEST_BYTES_PER_SECOND
        self._began, self._bytes = now, 0
        return is_slow


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A body that is whole on disk, as it came over the wire (perhaps still coded)."""

    path: Path
    file_name: str
    size_bytes: int
    sha256: str
    representation: Representation
    http_status: int


class Download:
    """Takes answers until the file is whole; `may_go_on` and `resume_headers` say how to go on."""

    def __init__(
        self,
        *,
        first_url: str,
        into: Path,
        max_bytes: int,
        pace_seconds: float,
        on_bytes: OnBytes,
    ) -> None:
        self.representation: Representation | None = None
        self.sink: FileSink | None = None
        self._file_name = ""
        self._http_status = 200
        self._first_url = first_url
        self._into = into
        self._max_bytes = max_bytes
        self._on_bytes = on_bytes
        self._pace = Pace(pace_seconds, now=time.monotonic())
        self._total_bytes: int | None = None
        self._furthest_bytes = 0
        self._restarts = 0
        self._has_changed = False
        self._drips = False
        self.fruitless_attempts = 0

    async def take(self, response: aiohttp.ClientResponse, address: WebAddress) -> None:
        """Take one answer's body. Returns once the file is whole on disk, raises otherwise.

        `PartialFileError`, `DownloadTimeoutError` and `DownloadError` leave what came so far;
        `FileTooBigError` and `DiskFullError` end it.
        """
        sink = self._begin(response, address)
        with http_errors(address.public, http_status=response.status):
            async for chunk in response.content.iter_any():
                await sink.add(chunk)
                self._on_bytes(sink.size_bytes, self._total_bytes)
                self._check_pace(len(chunk), address)
        self._check_whole(sink, address)
        await sink.finish()

    def may_go_on(self) -> bool:
        """After an attempt that failed: whether another one makes sense."""
        if self.sink is None or self._drips:
            return False
        if self.sink.size_bytes > self._furthest_bytes:
            self._furthest_bytes = self.sink.size_bytes
            self.fruitless_attempts = 0
        self.fruitless_attempts += 1
        return self.fruitless_attempts < _MAX_FRUITLESS_ATTEMPTS and self._restarts < _MAX_RESTARTS

    def resume_headers(self) -> dict[str, str]:
        """The headers that ask for the rest only; none where it has to begin anew."""
        size_bytes = self.sink.size_bytes if self.sink else 0
        validator = self.representation.if_range if self.representation else None
        if not size_bytes or not validator or self._has_changed:
            return {}
        return {"Range": f"bytes={size_bytes}-", "If-Range": validator}

    def whole(self) -> Whole:
        """What `take` brought, once it returned."""
        if self.sink is None or self.representation is None:
            raise RuntimeError("nothing was downloaded yet")
        return Whole(
            path=self.sink.path,
            file_name=self._file_name,
            size_bytes=self.sink.size_bytes,
            sha256=self.sink.sha256,
            representation=self.representation,
            http_status=self._http_status,
        )

    def close(self) -> None:
        """Let go of the file, whole or not."""
        if self.sink:
            self.sink.close()

    def _begin(self, response: aiohttp.ClientResponse, address: WebAddress) -> FileSink:
        if self.sink and self.representation and response.status in (_PARTIAL, *_RANGE_REFUSALS):
            self._check_continues(response, self.sink, self.representation, address)
            return self.sink
        representation = Representation.of(response.headers)
        check_size(representation.total_bytes or 0, self._max_bytes)
        if self.sink:
            self._restarts += 1
            self.sink.restart()
        else:
            self.sink = self._open_sink(representation, address)
        self.representation, self._has_changed = representation, False
        self._total_bytes = representation.total_bytes
        self._http_status = response.status
        return self.sink

    def _open_sink(self, representation: Representation, address: WebAddress) -> FileSink:
        self._file_name = choose_file_name(
            content_disposition=representation.content_disposition,
            final_url=str(address.url),
            first_url=self._first_url,
        )
        return FileSink(self._into / self._file_name, max_bytes=self._max_bytes)

    def _check_continues(
        self,
        response: aiohttp.ClientResponse,
        sink: FileSink,
        representation: Representation,
        address: WebAddress,
    ) -> None:
        is_part = response.status == _PARTIAL
        if is_part and representation.continues_at(sink.size_bytes, response.headers):
            return
        self._has_changed = True
        raise PartialFileError(
            f"{address.public} changed while it was downloaded.", http_status=response.status
        )

    def _check_pace(self, byte_count: int, address: WebAddress) -> None:
        if self._pace.is_too_slow(byte_count, now=time.monotonic()):
            self._drips = True
            raise DownloadTimeoutError(
                f"{address.public} sends less than {_SLOWEST_BYTES_PER_SECOND:,} bytes a second.",
                http_status=self._http_status,
            )

    def _check_whole(self, sink: FileSink, address: WebAddress) -> None:
        if self._total_bytes in (None, sink.size_bytes):
            return
        # More than the whole means that the parts were not of one file.
        self._has_changed = sink.size_bytes > (self._total_bytes or 0)
        raise PartialFileError(
            f"{address.public} sent {sink.size_bytes:,} bytes of {self._total_bytes:,}.",
            http_status=self._http_status,
        )
