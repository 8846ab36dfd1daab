"""Names on disk of what an archive holds: numbers and a known suffix, never the archive's own.

So traversal, collisions, over-long and undecodable names cannot arise. Only the tables of a file
geodatabase keep their names, which are of one pattern: GDAL finds them by it.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from synctables.importer.model import Member

_SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,10}$")
_MISLEADING = frozenset(
    (
        *(".gz", ".bz2", ".xz", ".zst", ".zstd", ".lz4", ".br", ".snappy"),
        *(".utf8", ".mended", ".arrow"),
    )
)
"""Suffixes that libraries take for a compression, and those of copies that the readers make beside
a member: what is left to read under such a name is neither."""
_GEODATABASE_PART = re.compile(r"a[0-9a-f]{8}(?:\.\w{1,64}){1,3}")
_GEODATABASE_MAIN = "a00000001.gdbtable"
"""The table of tables; a folder that holds it is a file geodatabase, whatever it is called."""
_ARCHIVE_SUFFIX = re.compile(r"\.(?:zip|7z|rar|tar)$", re.I)
_GEODATABASE_NOTE = re.compile(r"gdb|timestamps|.*\.lock", re.I)


class MemberPaths:
    """Folders, stems and suffixes of the archive, the first two as numbers.

    Files that differ only in suffix or in case stay together (``Roads.SHP``, ``roads.dbf``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folders: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._taken: set[Path] = set()

    def path_for(self, name: str) -> Path:
        """A path that no other member has; its folder exists."""
        pure = PurePosixPath(name)
        folder = self._folders.setdefault(str(pure.parent), len(self._folders))
        part = self._folder / f"{folder}.gdb" / pure.name.lower()
        is_part = _GEODATABASE_PART.fullmatch(part.name) and part not in self._taken
        path = part if is_part else self._numbered(folder, name)
        self._taken.add(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def _numbered(self, folder: int, name: str) -> Path:
        suffix = safe_suffix(name)
        stem = name[: len(name) - len(suffix)].lower()
        number = self._stems.setdefault(stem, len(self._stems))
        path = self._folder / str(folder) / f"{number}{suffix}"
        if path in self._taken:  # the same name twice: both are kept
            number = self._stems[f"{stem}\0{len(self._stems)}"] = len(self._stems)
            path = path.with_name(f"{number}{suffix}")
        return path


def safe_suffix(name: str) -> str:
    """The suffix in lower case, if it is short and plain and misleads nobody; else nothing."""
    found = _SAFE_SUFFIX.search(name.lower())
    return found.group() if found and found.group() not in _MISLEADING else ""


def collect_geodatabases(members: list[Member], *, archive_name: str) -> list[Member]:
    """``members``, with those of each file geodatabase as one member: its folder.

    It is named like the folder in the archive, or like the archive where there is none.
    """
    folders = {member.path.parent for member in members if member.path.name == _GEODATABASE_MAIN}
    if not folders:
        return members
    found = [_collect(folder, members, archive_name) for folder in sorted(folders)]
    names = {member.name for member in found} | {""}
    rest = [member for member in members if member.path.parent not in folders]
    return found + [member for member in rest if not _is_note(member, names)]


def _collect(folder: Path, members: list[Member], archive_name: str) -> Member:
    parts = [member for member in members if member.path.parent == folder]
    parent = str(PurePosixPath(parts[0].name).parent)
    name = _ARCHIVE_SUFFIX.sub("", archive_name) if parent == "." else parent
    return Member(name=name, path=folder, size_bytes=sum(part.size_bytes for part in parts))


def _is_note(member: Member, folders: set[str]) -> bool:
    """Files that stand beside the tables and say nothing about them."""
    pure = PurePosixPath(member.name)
    parent = "" if str(pure.parent) == "." else str(pure.parent)
    return parent in folders and _GEODATABASE_NOTE.fullmatch(pure.name) is not None
