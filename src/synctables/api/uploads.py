"""Files on their way in: from the socket to a nameless file on disk, never whole in memory.

The transaction that stores an upload begins only once the file is here whole. A slow or stalling
client therefore holds a file handle, not a database connection.
"""

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Any

from anyio import to_thread
from fastapi import Request

from synctables.api.auth import find_credentials
from synctables.api.bodies import MAX_BODY_BYTES, check_texts, read_parameters, read_query
from synctables.api.calls import identify, services_of
from synctables.api.multipart import FieldRead, FileBegun, FileData, MultipartReader, is_multipart
from synctables.errors import (
    DiskFullError,
    EmptyFileError,
    FileTooBigError,
    UnauthenticatedError,
)
from synctables.syncs.service import SyncLimits

PIECE_BYTES = 1_048_576
UNKNOWN_SENDER_BYTES = 16_777_216
"""How much of a file is taken before its form has shown a key."""

_UNSAFE_IN_NAME = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MAX_NAME_CHARACTERS = 200
_MAX_EXTENSION_CHARACTERS = 20


@dataclass(frozen=True, kw_only=True)
class Received:
    """A call that may bring a file: its parameters and, with a file, name and content."""

    parameters: Mapping[str, Any]
    file_name: str | None = None
    content: AsyncIterator[bytes] | None = None


class Spool:
    """A file that grows on disk and vanishes with this process, however it ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pending = bytearray()
        self.size_bytes = 0

    async def write(self, content: bytes) -> None:
        """Raises `DiskFullError`."""
        self._pending += content
        self.size_bytes += len(content)
        if len(self._pending) >= PIECE_BYTES:
            await self._flush()

    async def read(self) -> AsyncIterator[bytes]:
        """The content from its beginning, in pieces."""
        await self._flush()
        await to_thread.run_sync(self._file.seek, 0)
        while piece := await to_thread.run_sync(self._file.read, PIECE_BYTES):
            yield piece

    async def _flush(self) -> None:
        pending, self._pending = bytes(self._pending), bytearray()
        try:
            await to_thread.run_sync(_write_all, self._file, pending)
        except OSError as error:
            raise DiskFullError(f"The upload could not be kept: {error.strerror}.") from error


def _write_all(file: IO[bytes], content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]  # unbuffered, so a full disk may take only a part


@asynccontextmanager
async def open_spool(folder: Path | None) -> AsyncIterator[Spool]:
    with await to_thread.run_sync(_create_nameless_file, folder) as file:
        yield Spool(file)


def _create_nameless_file(folder: Path | None) -> IO[bytes]:
    """In the folder, or where the system keeps such files if this process may not write there."""
    if folder is not None:
        with suppress(OSError):
            return tempfile.TemporaryFile(dir=folder, buffering=0)
    return tempfile.TemporaryFile(buffering=0)


@asynccontextmanager
async def receive(request: Request) -> AsyncIterator[Received]:
    """The call's parameters, and its file where it brings one; both hold inside the block.

    A multipart form, or with ``filename`` in the query any body, is an upload. The key of an
    upload is checked before its file is taken; in a form it should stand before the file.
    Raises `InvalidRequestError`, `UnauthenticatedError`, `TooManyCallsError`, `FileTooBigError`,
    `EmptyFileError`.
    """
    content_type = request.headers.get("content-type", "")
    query = read_query(request)
    check_texts(query)
    if is_multipart(content_type):
        async with open_spool(services_of(request).upload_dir) as spool:
            reception = _FormReception(request=request, spool=spool, parameters=query)
            yield await reception.receive(content_type)
    elif query.get("filename") and not query.get("url"):
        async with open_spool(services_of(request).upload_dir) as spool:
            yield await _receive_raw(request, spool, query)
    else:
        yield Received(parameters=await read_parameters(request))


async def _receive_raw(request: Request, spool: Spool, query: dict[str, Any]) -> Received:
    limit = await _identify_sender(request, query)
    _check_declared_length(request, limit)
    async for chunk in request.stream():
        await spool.write(chunk)
        _check_size(spool, limit)
    return _received(query, query["filename"], spool)


@dataclass(kw_only=True)
class _FormReception:
    """A multipart form while it arrives."""

    request: Request
    spool: Spool
    parameters: dict[str, Any]
    file_name: str | None = None
    is_known: bool = field(default=False, init=False)
    max_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.max_bytes = services_of(self.request).settings.max_file_bytes

    async def receive(self, content_type: str) -> Received:
        await self._identify()
        _check_declared_length(self.request, self.max_bytes)
        reader = MultipartReader(content_type, max_fields_bytes=MAX_BODY_BYTES)
        async for chunk in self.request.stream():
            for event in reader.feed(chunk):
                await self._take(event)
        reader.finish()
        check_texts(self.parameters)
        if self.file_name is None:
            return Received(parameters=self.parameters)
        return _received(self.parameters, self.file_name, self.spool)

    async def _take(self, event: FieldRead | FileBegun | FileData) -> None:
        match event:
            case FieldRead(name, value):
                self.parameters[name] = value
            case FileBegun(file_name):
                self.file_name = file_name
                await self._identify()
            case FileData(content):
                await self.spool.write(content)
                self._check_size()

    async def _identify(self) -> None:
        authorization = self.request.headers.get("authorization")
        if not self.is_known and find_credentials(authorization, self.parameters) is not None:
            self.max_bytes = await _identify_sender(self.request, self.parameters)
            self.is_known = True

    def _check_size(self) -> None:
        _check_size(self.spool, self.max_bytes)
        if not self.is_known and self.spool.size_bytes > UNKNOWN_SENDER_BYTES:
            raise UnauthenticatedError(
                "Give the API key before the file: in the query, in a header, or as the form's "
                "first field."
            )


async def _identify_sender(request: Request, parameters: Mapping[str, Any]) -> int:
    """How large a file the account of this call may send."""
    if find_credentials(request.headers.get("authorization"), parameters) is None:
        raise UnauthenticatedError("An upload needs an API key in its query or in a header.")
    services = services_of(request)
    async with services.transaction() as connection:
        account = await identify(request, connection, parameters)
    return SyncLimits.of(services.settings, account.plan).max_file_bytes


def _check_declared_length(request: Request, limit: int) -> None:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > limit + MAX_BODY_BYTES:
        raise _too_big(limit)


def _check_size(spool: Spool, limit: int) -> None:
    if spool.size_bytes > limit:
        raise _too_big(limit)


def _too_big(limit: int) -> FileTooBigError:
    return FileTooBigError(
        f"{FileTooBigError.title}: the file is larger than {limit:,} bytes "
        f"(error {FileTooBigError.code})."
    )


def _received(parameters: Mapping[str, Any], file_name: str, spool: Spool) -> Received:
    if spool.size_bytes == 0:
        raise EmptyFileError(f"{EmptyFileError.title} (error {EmptyFileError.code}).")
    return Received(
        parameters=parameters, file_name=clean_file_name(file_name), content=spool.read()
    )


def clean_file_name(name: str) -> str:
    """The last part of a name that a client gave, without what no file name may hold.

    >>> clean_file_name("C:\\\\data\\\\../parks.csv")
    'parks.csv'
    """
    last = re.split(r"[/\\]", name)[-1]
    cleaned = _UNSAFE_IN_NAME.sub("", last).strip().strip(".")
    extension = PurePath(cleaned).suffix[:_MAX_EXTENSION_CHARACTERS]
    stem = cleaned.removesuffix(extension)[: _MAX_NAME_CHARACTERS - len(extension)]
    return stem + extension or "upload"
