"""unpack: a fetched file becomes members, one file on disk each.

ZIP and tar are streamed through libarchive, gzip through Python's own module (libarchive does not
verify its checksum), with one budget for all of them, nested ones included.
Nothing in an archive chooses a name on disk: member paths are made of numbers and a known
suffix, so traversal, collisions, over-long and undecodable names cannot arise there; the name in
the archive is kept in `Member.name`. What to skip is section 3.4 of the reference.
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
from pathlib import Path, PurePosixPath
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
from synctables.importer.containers import EMPTY_ZIP, Container, identify_container
from synctables.importer.model import Decision, Limits, Member, Unpacked

BLOCK_BYTES = 256 * 1024
RATIO_FLOOR_BYTES = 64 * 1024 * 1024
"""Below this the expansion ratio is not judged: a small file of zeros is no bomb."""
MAX_NESTING = 2
"""An archive inside an archive is unpacked, one inside that is not."""

_FORMATS: dict[Container, tuple[str, str]] = {
    # By its directory only: without that, a zip that was cut off would seem to be just smaller.
    "zip": ("zip_seekable", "none"),
    "tar": ("tar", "none"),
}
_SKIPPED_NAME = re.compile(r"readme.*\.txt$|.*readme\.txt$|version\.txt$|.*\.version\.txt$", re.I)
_SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}$")


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
    path = into / ("0" + _suffix(fetched.file_name))
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
    names = _Numbers(budget.into / str(budget.member_count))
    extract = _extract_gzip if container == "gz" else _extract_archive
    members = extract(path, name, container, names, budget)
    return [found for member in members for found in _expand_nested(member, budget, depth=depth)]


def _extract_gzip(
    path: Path, name: str, _: Container, names: _Numbers, budget: _Budget
) -> list[Member]:
    """The one file of a gzip, which is named like the gzip itself."""
    budget.count_member()
    inner = _strip_gz(name)
    target = names.path_for(inner)
    try:
        with gzip.open(path) as file:
            size = _write(iter(partial(file.read, BLOCK_BYTES), b""), target, budget)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DecompressionError(f"The gzip file is broken: {error}.") from error
    return [Member(name=inner, path=target, size_bytes=size)]


def _extract_archive(
    path: Path, name: str, container: Container, names: _Numbers, budget: _Budget
) -> list[Member]:
    members = list[Member]()
    with path.open("rb") as file:
        if file.read(len(EMPTY_ZIP)) == EMPTY_ZIP:
            return members
    with _reading(path, container) as archive:
        for entry in archive:
            budget.count_member()
            inner = _wanted_name(entry, container, outer=name)
            if inner is None:
                budget.skipped_count += not entry.isdir
                continue
            target = names.path_for(inner)
            size = _write(_blocks(entry), target, budget)
            members.append(Member(name=inner, path=target, size_bytes=size))
    return members


def _expand_nested(member: Member, budget: _Budget, *, depth: int) -> list[Member]:
    container = identify_container(member.path) if member.size_bytes else None
    if container is None or depth >= MAX_NESTING:
        return [member]
    members = _expand(member.path, member.name, container, budget, depth=depth + 1)
    member.path.unlink()
    return members


class _Numbers:
    """Names on disk: folders, stems and suffixes of the archive, the first two as numbers.

    Files that differ only in suffix or in case stay together (``Roads.SHP``, ``roads.dbf``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._taken: set[Path] = set()

    def path_for(self, name: str) -> Path:
        pure = PurePosixPath(name)
        folder = self._folders.setdefault(str(pure.parent), len(self._folders))
        suffix = _suffix(name)
        stem = name[: len(name) - len(suffix)].lower()
        number = self._stems.setdefault(stem, len(self._stems))
        path = self._folder / str(folder) / f"{number}{suffix}"
        if path in self._taken:  # the same name twice: both are kept
            number = self._stems[f"{stem}\0{len(self._stems)}"] = len(self._stems)
            path = path.with_name(f"{number}{suffix}")
        self._taken.add(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


def _suffix(name: str) -> str:
    found = _SAFE_SUFFIX.search(name.lower())
    return found.group() if found else ""


def _wanted_name(entry: Any, container: Container, *, outer: str) -> str | None:
    """The entry's cleaned path, or None for what is not data.

    Raises `DecompressionError` for a path that leads out of the archive.
    """
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


def _strip_gz(name: str) -> str:
    base = re.sub(r"\.gz$", "", name, flags=re.I)
    return re.sub(r"\.tgz$", ".tar", base, flags=re.I)


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
            raise DecompressionError("The archive is broken: a checksum does not match.")
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
        if re.search("passphrase|encrypt|password", message, re.I):
            raise PasswordProtectedError from error
        raise DecompressionError(f"The archive is broken: {message}.") from error
