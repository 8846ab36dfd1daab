"""Mutations inside what wraps the data: archives are packed again, checksums and all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from random import Random

from tests.fuzz.byte_edits import Edit
from tests.support.archive_files import ARCHIVES

_ODD_NAMES = (
    *(
        "../../evil.csv",
        "/etc/passwd",
        "a\\..\\..\\b",
        "C:\\x.csv",
        "con",
        "x" * 5_000,
        "\u202ecsv",
    ),
    *(
        ".hidden",
        "a/" * 300 + "b.csv",
        "a.gdb/a00000001.gdbtable",
        "doc.kml",
        "a.vrt",
        "readme.txt",
    ),
    *(
        "readme.txt",
        "a.csv\0.exe",
        "*?.csv",
        "-rf.csv",
        "a00000001.gdbtable/x",
        "%2e%2e%2fa",
        "a.shp",
        "a.dbf",
    ),
)
_MAX_MEMBER_BYTES = 4 << 20
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError),
    *(zlib.error, lzma.LZMAError),
)
_COMPRESSORS = (
    (gzip.decompress, partial(gzip.compress, mtime=0)),
    (bz2.decompress, bz2.compress),
    (lzma.decompress, lzma.compress),
)
_STATEMENTS = (
    "UPDATE gpkg_contents SET table_name = 'sqlite_master'",
    "UPDATE gpkg_contents SET srs_id = 999999",
    "UPDATE gpkg_contents SET data_type = 'nonsense'",
    "UPDATE gpkg_contents SET min_x = 9e999, max_x = -1",
    "UPDATE gpkg_geometry_columns SET column_name = 'nothing'",
    "UPDATE gpkg_geometry_columns SET geometry_type_name = 'NONSENSE', z = 7",
    "UPDATE gpkg_spatial_ref_sys SET definition = 'nonsense'",
    "UPDATE gpkg_spatial_ref_sys SET definition = '/vsicurl/http://127.0.0.1/'",
    "UPDATE gpkg_ogr_contents SET feature_count = 9223372036854775807",
    "DELETE FROM gpkg_spatial_ref_sys",
    "DELETE FROM gpkg_contents",
    "DROP TABLE gpkg_geometry_columns",
    "UPDATE {table} SET geom = zeroblob(1000)",
    "UPDATE {table} SET geom = x'475000010000000000'",
    "UPDATE {table} SET geom = x'4750000110E6000001010000000000000000'",
    "UPDATE {table} SET geom = 'text'",
    'ALTER TABLE {table} RENAME COLUMN name TO ""',
    'ALTER TABLE {table} RENAME TO "a\'b""c"',
    "ALTER TABLE {table} ADD COLUMN extra",
    "UPDATE {table} SET people = 'text', ratio = x'00'",
    "CREATE VIEW endless AS WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x FROM a) "
    "SELECT * FROM a",
    "CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT load_extension('/tmp/x'); END",
    "INSERT INTO gpkg_contents (table_name, data_type, identifier) VALUES ('x', 'attributes', 'x')",
    "PRAGMA user_version = -1",
    "PRAGMA application_id = 0",
)


def edit_member(edit: Callable[[Random, bytes, bytes], bytes]) -> Edit:
    """The edit, made to one member of a ZIP that is whole again afterwards."""

    def inside(random: Random, content: bytes, other: bytes) -> bytes:
        members = _members(content)
        if not members:
            return content
        index = random.randrange(len(members))
        name, inner = members[index]
        members[index] = (name, edit(random, inner, other) if inner else inner)
        return _pack_zip(random, members)

    inside.__name__ = f"{edit.__name__} in a member"
    return inside


def edit_members(random: Random, content: bytes, other: bytes) -> bytes:
    """Members go, come twice, change names or contents with each other, or are joined by others."""
    members = _members(content)
    if not members:
        return content
    one, two = random.randrange(len(members)), random.randrange(len(members))
    match random.randrange(7):
        case 0:
            del members[one]
        case 1:
            members.append(members[one])
        case 2:
            members[one] = (random.choice(_ODD_NAMES), members[one][1])
        case 3:
            members[one], members[two] = (
                (members[one][0], members[two][1]),
                (members[two][0], members[one][1]),
            )
        case 4:
            members.append((random.choice(_ODD_NAMES), other[:100_000]))
        case 5:
            members[one] = (members[one][0], b"")
        case _:
            members.append(("inner.zip", _pack_zip(random, list(members))))
    return _pack_zip(random, members)


def edit_compressed(edit: Callable[[Random, bytes, bytes], bytes]) -> Edit:
    """The edit, made to what a gzip, bzip2 or xz holds."""

    def inside(random: Random, content: bytes, other: bytes) -> bytes:
        for unpack, compress in _COMPRESSORS:
            with suppress(OSError, EOFError, lzma.LZMAError, zlib.error, ValueError):
                inner = unpack(content)
                return compress(edit(random, inner or b"\n", other))
        return edit(random, content, other)

    inside.__name__ = f"{edit.__name__} in a compressor"
    return inside


def pack(random: Random, content: bytes, other: bytes) -> bytes:
    """The file in an archive, once or several times over, beside another or not."""
    for _count in range(random.choice((1, 1, 2, 3, 6))):
        kind = random.choice(tuple(ARCHIVES))
        files = {random.choice(("a.csv", "a.geojson", "a.vrt", "x/a")): content}
        if random.random() < 0.3:
            files["b"] = other[:100_000]
        content = ARCHIVES[kind](files)
    return content


def pack_odd_tar(random: Random, content: bytes, _: bytes) -> bytes:
    """A tar with links, devices, sparse files and names that lead elsewhere."""
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=random.choice((0, 1, 2))) as archive:
        for kind in random.sample(kinds, random.randrange(1, 4)):
            entry = tarfile.TarInfo(random.choice(_ODD_NAMES)[:90].replace("\0", ""))
            entry.type, entry.linkname = kind, random.choice(("/etc/passwd", "../..", "a.csv"))
            archive.addfile(entry)
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def edit_database(random: Random, content: bytes, _: bytes) -> bytes:
    """Statements run inside a GeoPackage: tables that are whole and say what is not so."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gpkg")
        path.write_bytes(content)
        with suppress(sqlite3.Error, UnicodeError), closing(sqlite3.connect(path)) as connection:
            (table,) = connection.execute("SELECT table_name FROM gpkg_contents").fetchone() or (
                "x",
            )
            _drop_triggers(connection)
            for statement in random.sample(_STATEMENTS, random.choice((1, 1, 2, 4))):
                with suppress(sqlite3.Error):
                    connection.execute(statement.format(table=f'"{table}"'))
            connection.commit()
        return path.read_bytes()


def _drop_triggers(connection: sqlite3.Connection) -> None:
    """They call functions that only GDAL has."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f'DROP TRIGGER "{name}"')


def _members(content: bytes) -> list[tuple[str, bytes]]:
    """Of a ZIP that can be read; else nothing."""
    found = list[tuple[str, bytes]]()
    with (
        suppress(*_ZIP_ERRORS),
        zipfile.ZipFile(io.BytesIO(content)) as archive,
    ):
        for info in archive.infolist():
            if info.file_size <= _MAX_MEMBER_BYTES:
                found.append((info.filename, archive.read(info)))
    return found


def _pack_zip(random: Random, members: list[tuple[str, bytes]]) -> bytes:
    """ZIPs hold names twice here on purpose, which `zipfile` only warns of."""
    buffer = io.BytesIO()
    method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, inner in members:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = method
            archive.NameToInfo.pop(entry.filename, None)
            archive.writestr(entry, inner)
    return buffer.getvalue()
