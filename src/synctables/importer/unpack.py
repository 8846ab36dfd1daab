"""unpack: a fetched file becomes members, one file on disk each.

Every archive is streamed through libarchive but gzip, which goes through Python's own module
(libarchive does not verify its checksum), with one budget for all of them, nested ones included.
Nothing in an archive chooses a name on disk (`member_paths`); the name in the archive is kept in
`Member.name`. What to skip is section 3.4 of the reference.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import libarchive
import libarchive.ffi
from libarchive.exception import ArchiveError

from synctables.datasources.base import Fetched
from synctables.errors import (
    DecompressionError,
    EmptyFileError,
    EncodingError,
    FileTooBigError,
    PasswordProtectedError,
)
from synctables.importer.containers import (
    COMPRESSORS,
    EMPTY_ZIP,
    Container,
    identify_container,
)
from synctables.importer.member_paths import MemberPaths, collect_geodatabases, safe_suffix
from synctables.importer.model import Decision, Limits, Member, Unpacked
from synctables.importer.rar5 import RarFile, rar_files

BLOCK_BYTES = 256 * 1024
RATIO_FLOOR_BYTES = 64 * 1024 * 1024
"""Below this the expansion ratio is not judged: a small file of zeros is no bomb."""
MAX_NESTING = 2
"""An archive inside an archive is unpacked, one inside that is not. A compressed tar is one."""

_FORMATS: dict[Container, tuple[str, str]] = {
    # By its directory only: without that, a zip that was cut off would seem to be just smaller.
    "zip": ("zip_seekable", "none"),
    "tar": ("tar", "none"),
    "bz2": ("raw", "bzip2"),
    "xz": ("raw", "xz"),
    "zst": ("raw", "zstd"),
    "7z": ("7zip", "none"),
    "rar": ("rar", "none"),
    "rar5": ("rar5", "none"),
}
_SKIPPED_NAME = re.compile(
    r"readme.*\.txt$|.*readme\.txt$|version\.txt$|.*\.version\.txt$|.*\.carto\.json$", re.I
)
_COMPRESSOR_SUFFIX = re.compile(r"\.(?:gz|bz2?|xz|zstd?)$", re.I)
_TAR_SUFFIX = re.compile(r"\.t(?:gz|bz2?|xz|zst)$", re.I)

_WRONG_SUM = "The archive is broken: a checksum does not match."
_is_encrypted = libarchive.ffi.ffi(
    "entry_is_encrypted", [libarchive.ffi.c_archive_entry_p], libarchive.ffi.ctypes.c_int
)


@dataclass
class _Budget:
    """What unpacking may still produce, and what it noticed."""

    limits: Limits
    source_bytes: int
    into: Path
    bytes_written: int = 0
    member_count: int = 0
    skipped_count: int = 0

    def count_member(self) -> None:
        self.member_count += 1
        if self.member_count > self.limits.max_members:
            raise DecompressionError(
                f"The archive holds more than {self.limits.max_members} files."
            )

    def count_bytes(self, size: int) -> None:
        self.bytes_written += size
        if self.bytes_written > self.limits.max_bytes:
            raise FileTooBigError("The archive is larger than allowed when unpacked.")
        if (
            self.bytes_written > RATIO_FLOOR_BYTES
            and self.bytes_written > self.limits.max_expansion_ratio * self.source_bytes
        ):
            ratio = self.limits.max_expansion_ratio
            raise DecompressionError(f"The archive grows more than {ratio} times when unpacked.")


def unpack(fetched: Fetched, *, into: Path, limits: Limits) -> Unpacked:
    """The members of ``fetched``, below the folder ``into``, sorted by name.

    A file that is no archive is its own only member. Raises `EmptyFileError`,
    `DecompressionError`, `PasswordProtectedError`, `EncodingError` (an undecodable name) and
    `FileTooBigError`.
    """
    size = fetched.path.stat().st_size
    if size == 0:
        raise EmptyFileError
    into.mkdir(mode=0o700, exist_ok=True)
    budget = _Budget(limits=limits, source_bytes=size, into=into)
    container = identify_container(fetched.path)
    if container is None:
        return Unpacked(members=(_take_file(fetched, into=into, size=size),))
    members = _expand(fetched.path, fetched.file_name, container, budget, depth=1)
    if not members:
        raise EmptyFileError("The archive holds no data file.")
    members.sort(key=lambda member: member.name)
    return Unpacked(members=tuple(members), decisions=tuple(_describe(container, members, budget)))


def _take_file(fetched: Fetched, *, into: Path, size: int) -> Member:
    path = into / ("0" + safe_suffix(fetched.file_name))
    try:
        os.link(fetched.path, path)
    except OSError:  # a file system without hard links
        shutil.copyfile(fetched.path, path)
    return Member(name=fetched.file_name, path=path, size_bytes=size)


def _describe(container: Container, members: list[Member], budget: _Budget) -> Iterator[Decision]:
    yield Decision(
        subject="archive",
        choice=container,
        reason=f"{len(members)} files, {budget.bytes_written} bytes unpacked",
    )
    if budget.skipped_count:
        reason = f"{budget.skipped_count} hidden files, links or notes"
        yield Decision(subject="archive", choice="left out", reason=reason)


def _expand(
    path: Path, name: str, container: Container, budget: _Budget, *, depth: int
) -> list[Member]:
    """Members of one archive; archives among them are expanded in turn."""
    names = MemberPaths(budget.into / str(budget.member_count))
    extract = _extract_gzip if container == "gz" else _extract_archive
    members = extract(path, name, container, names, budget)
    members = collect_geodatabases(members, archive_name=name)
    return [
        found
        for member in members
        for found in _expand_nested(member, container, budget, depth=depth)
    ]


def _extract_gzip(
    path: Path, name: str, _: Container, names: MemberPaths, budget: _Budget
) -> list[Member]:
    """The one file of a gzip, which is named like the gzip itself."""
    budget.count_member()
    inner = _strip_compressor(name)
    target = names.path_for(inner)
    try:
        with gzip.open(path) as file:
            size = _write(iter(partial(file.read, BLOCK_BYTES), b""), target, budget)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DecompressionError(f"The gzip file is broken: {error}.") from error
    return [Member(name=inner, path=target, size_bytes=size)]


def _extract_archive(
    path: Path, name: str, container: Container, names: MemberPaths, budget: _Budget
) -> list[Member]:
    members = list[Member]()
    with path.open("rb") as file:
        if file.read(len(EMPTY_ZIP)) == EMPTY_ZIP:
            return members
    told = rar_files(path) if container == "rar5" else iter(())
    with _reading(path, container) as archive:
        for entry in archive:
            budget.count_member()
            rar_file = next(told, None)
            inner = _wanted_name(entry, container, outer=name)
            if inner is None:
                budget.skipped_count += not entry.isdir
                continue
            target = names.path_for(inner)
            size = _write(_checked_blocks(entry, rar_file), target, budget)
            members.append(Member(name=inner, path=target, size_bytes=size))
    return members


def _checked_blocks(entry: Any, rar_file: RarFile | None) -> Iterator[bytes | memoryview]:
    """The entry's bytes. Raises `PasswordProtectedError` before the first of them, which libarchive
    hands out encrypted as they are, and `DecompressionError` for a checksum it does not look at."""
    if _is_encrypted(entry._entry_p) or (rar_file and rar_file.is_encrypted):
        raise PasswordProtectedError
    found = 0
    for block in _blocks(entry):
        found = zlib.crc32(block, found)
        yield block
    if rar_file and rar_file.crc32 not in {None, found}:
        raise DecompressionError(_WRONG_SUM)


def _expand_nested(
    member: Member, outer: Container, budget: _Budget, *, depth: int
) -> list[Member]:
    is_file = member.size_bytes and member.path.is_file()
    container = identify_container(member.path) if is_file else None
    step = 0 if container == "tar" and outer in COMPRESSORS else 1
    if container is None or depth + step > MAX_NESTING:
        return [member]
    members = _expand(member.path, member.name, container, budget, depth=depth + step)
    member.path.unlink()
    return members


def _wanted_name(entry: Any, container: Container, *, outer: str) -> str | None:
    """The entry's cleaned path, or None for what is not data.

    Raises `DecompressionError` for a path that leads out of the archive.
    """
    if container in COMPRESSORS:
        return _strip_compressor(outer)
    if entry.issym or entry.islnk or not entry.isreg:
        return None
    name = _decode(entry.pathname, container).replace("\\", "/")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name:
        raise DecompressionError("A path in the archive leads out of it.")
    if not parts or any(part.startswith((".", "__")) for part in parts):
        return None
    if _SKIPPED_NAME.match(parts[-1]):
        return None
    if parts == ["doc.kml"] and outer.lower().endswith(".kmz"):  # every KMZ calls it so
        return outer[: -len(".kmz")] + ".kml"
    return "/".join(parts)


def _decode(name: str | bytes | None, container: Container) -> str:
    """ZIP's own encoding is code page 437 (APPNOTE 4.4.17, appendix D); tar has none."""
    if isinstance(name, str):
        return name
    if name and container == "zip":
        return name.decode("cp437")
    raise EncodingError("A file name in the archive is not valid text.")


def _strip_compressor(name: str) -> str:
    return _TAR_SUFFIX.sub(".tar", _COMPRESSOR_SUFFIX.sub("", name))


def _write(blocks: Iterable[bytes | memoryview], target: Path, budget: _Budget) -> int:
    size = 0
    with target.open("xb") as file:
        for block in blocks:
            budget.count_bytes(len(block))
            size += len(block)
            file.write(block)
    return size


def _blocks(entry: Any) -> Iterator[memoryview]:
    """The entry's bytes. Unlike ``entry.get_blocks`` it takes a warning (a wrong CRC) for what
    it is: a broken archive."""
    buffer = bytearray(BLOCK_BYTES)
    pointer = (libarchive.ffi.ctypes.c_char * BLOCK_BYTES).from_buffer(buffer)
    while (count := libarchive.ffi.read_data(entry._archive_p, pointer, BLOCK_BYTES)) != 0:
        if count < 0:
            raise DecompressionError(_WRONG_SUM)
        yield memoryview(buffer)[:count]


@contextmanager
def _reading(path: Path, container: Container) -> Iterator[Any]:
    """An open archive; libarchive's complaints become ours."""
    format_name, filter_name = _FORMATS[container]
    try:
        with libarchive.file_reader(str(path), format_name, filter_name) as archive:
            yield archive
    except ArchiveError as error:
        message = str(error.msg)
        if re.search("passphrase|encrypt|password", message, re.I) or _hides_its_directory(path):
            raise PasswordProtectedError from error
        raise DecompressionError(f"The archive is broken: {message}.") from error


def _hides_its_directory(path: Path) -> bool:
    """Whether ``path`` is a ZIP whose list of files is encrypted too (APPNOTE 4.4.4, bit 13)."""
    with path.open("rb") as file:
        head = file.read(8)
    return head.startswith(b"PK\x03\x04") and bool(head[7:] and head[7] & 0x20)
