"""Files that say they hold more than they do, or hold more than they say."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from pathlib import Path

from tests.hostile import bombs
from tests.hostile.bombs import GIB, nested, zipped
from tests.hostile.traps import EMPTY, LOAD, TIMEOUT, TOO_BIG, filled, trap
from tests.support import format_files

_ADD_VIEW = (
    "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
    "VALUES ('{0}', 'attributes', '{0}');"
)
_ONLY_ROWS = "DELETE FROM gpkg_contents; DELETE FROM gpkg_geometry_columns; "
_HUGE = struct.pack("<I", 0xFFFF_FFF0)


def _wkb(kind: int, count: int) -> str:
    """Hexadecimal WKB of a shape that says it has so many parts."""
    return (b"\x01" + struct.pack("<II", kind, count) + bytes(16)).hex()


def _parts(files: dict[str, bytes], name: str, at: int, new: bytes) -> bytes:
    """The files as a ZIP, some bytes of one of them changed."""
    changed = bytearray(files[name])
    changed[at : at + len(new)] = new
    return zipped({**files, name: bytes(changed)})


def _flatgeobuf(at: int, new: bytes) -> bytes:
    content = bytearray(format_files.flatgeobuf()["cities.fgb"])
    content[at : at + len(new)] = new
    return bytes(content)


def _gpkg(statements: str) -> bytes:
    """A GeoPackage after the statements; its triggers, which need GDAL's functions, are gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.gpkg")
        path.write_bytes(format_files.geopackage()["cities.gpkg"])
        connection = sqlite3.connect(path)
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in found.fetchall():
            connection.execute(f'DROP TRIGGER "{name}"')
        connection.executescript(filled(statements.encode()).decode())
        connection.commit()
        connection.close()
        return path.read_bytes()


def _flatgeobuf_text(size: bytes) -> bytes:
    """The length of the first row's first text is another."""
    content = format_files.flatgeobuf()["cities.fgb"]
    at = content.index(b"Oslo") - 4
    return content[:at] + size + content[at + 4 :]


def _pbf_bomb() -> bytes:
    """A data blob of zeros, with its size told as it is (the specification allows 32 MiB)."""
    packed = b"\x78\x9c" + bombs.deflated_zeros(4 * GIB) + bytes(4)
    blob = format_files._message(2, 4 * GIB - 1) + format_files._message(3, packed)
    header = format_files._message(1, b"OSMData") + format_files._message(3, len(blob))
    return format_files.osm_pbf()["cities.osm.pbf"] + struct.pack(">I", len(header)) + header + blob


def _xls_in_a_circle() -> bytes:
    content = bytearray((format_files.FILES / "cities.xls").read_bytes())
    (first,) = struct.unpack_from("<I", content, 76)
    start = (first + 1) * 512
    for sector in range(128):
        struct.pack_into("<I", content, start + 4 * sector, 0)
    return bytes(content)


LIES = {
    "Parquet of 2,000,000,000 rows": trap(
        "a.parquet", lambda: bombs.parquet_of_equal_rows(2_000_000_000), TIMEOUT, TOO_BIG, LOAD
    ),
    "Parquet that has more rows than it says": trap(
        "a.parquet", lambda: bombs.parquet_with(b"\x16\x9a\x01", b"\x16\x02\x00"), LOAD, None
    ),
    "Parquet that says it has more rows": trap(
        "a.parquet", lambda: bombs.parquet_with(b"\x9a\x01", b"\xfe\x7f"), LOAD, None
    ),
    "Parquet with a footer of 2 GB": trap(
        "a.parquet", lambda: b"PAR1" + bytes(100) + struct.pack("<I", 0x7FFF_FFFF) + b"PAR1", LOAD
    ),
    "FlatGeobuf with a header of 4 GB": trap("a.fgb", lambda: _flatgeobuf(8, _HUGE), LOAD),
    "FlatGeobuf with a header of 2 GB": trap(
        "a.fgb", lambda: _flatgeobuf(8, struct.pack("<I", 0x7FFF_FFFF)), LOAD
    ),
    "FlatGeobuf with a text of 2 GB": trap(
        "a.fgb", lambda: _flatgeobuf_text(struct.pack("<I", 0x7FFF_FFFF)), LOAD
    ),
    "FlatGeobuf with a text of nearly 4 GB": trap(
        "a.fgb", lambda: _flatgeobuf_text(_HUGE), LOAD
    ),
    "FlatGeobuf cut off behind its header": trap(
        "a.fgb", lambda: format_files.flatgeobuf()["cities.fgb"][:300], LOAD
    ),
    "GeoPackage of an endless view": trap(
        "a.gpkg",
        lambda: _gpkg(
            "DELETE FROM gpkg_contents; CREATE VIEW endless AS WITH RECURSIVE a(x) AS (SELECT 1 "
            "UNION ALL SELECT x + 1 FROM a) SELECT x FROM a;" + _ADD_VIEW.format("endless")
        ),
        *(EMPTY, LOAD, TIMEOUT),
    ),
    "GeoPackage of a view that joins itself": trap(
        "a.gpkg",
        lambda: _gpkg(
            "CREATE TABLE n AS WITH RECURSIVE a(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM a "
            "LIMIT 3000) SELECT x FROM a; CREATE VIEW wide AS SELECT a.x FROM n a, n b, n c, n d; "
            + _ONLY_ROWS
            + _ADD_VIEW.format("wide")
        ),
        *(LOAD, TIMEOUT, TOO_BIG, EMPTY),
    ),
    "GeoPackage of zeros in a view": trap(
        "a.gpkg",
        lambda: _gpkg(
            "CREATE VIEW zeros AS SELECT zeroblob(900000000) AS a; "
            + _ONLY_ROWS
            + _ADD_VIEW.format("zeros")
        ),
        *(LOAD, TIMEOUT, TOO_BIG, EMPTY),
    ),
    "GeoPackage of a virtual table": trap(
        "a.gpkg",
        lambda: _gpkg("CREATE VIRTUAL TABLE v USING fts5(a);" + _ADD_VIEW.format("v")),
        LOAD,
        None,
    ),
    "GeoPackage that attaches and reads files": trap(
        "a.gpkg",
        lambda: _gpkg(
            "CREATE VIEW r AS SELECT readfile('{secret}') AS a; CREATE VIEW l AS SELECT "
            "load_extension('{secret}') AS a;" + _ADD_VIEW.format("r") + _ADD_VIEW.format("l")
        ),
        LOAD,
        None,
    ),
    "GeoPackage with a shape of 4 billion points": trap(
        "a.gpkg",
        lambda: _gpkg(
            "UPDATE cities SET geom = x'47500001e6100000" + _wkb(2, 0xFFFF_FFFF) + "';"
        ),
        *(LOAD, 2014, None),
    ),
    "CSV with a shape of 4 billion points": trap(
        "a.csv", lambda: f"name,the_geom\na,{_wkb(2, 0xFFFFFFFF)}\nb,{_wkb(1, 1)}\n", 2014, None
    ),
    "CSV with collections 100,000 deep": trap(
        "a.csv",
        lambda: "name,the_geom\na,"
        + (b"\x01" + struct.pack("<II", 7, 1)).hex() * 100_000
        + _wkb(1, 1)
        + "\n",
        *(2014, 2003, LOAD, None),
    ),
    "CSV with WKT 100,000 deep": trap(
        "a.csv",
        lambda: 'name,the_geom\na,"'
        + nested("GEOMETRYCOLLECTION(", ")", 100_000, "POINT(1 2)")
        + '"\n',
        *(2014, 2003, LOAD, None),
    ),
    "CSV of 100,000 columns": trap(
        "a.csv", lambda: ",".join(f"c{n}" for n in range(100_000)) + "\n", 2004
    ),
    "CSV of one line of 100 MB": trap(
        "a.csv", lambda: b"a,b\n1," + b"x" * 100_000_000 + b"\n", 2003
    ),
    "CSV of one quote and 40 MB": trap(
        "a.csv", lambda: b'a,b\n1,"' + b"x,y\n" * 10_000_000, 2003, TOO_BIG, LOAD, None
    ),
    "shapefile with a table of 2 billion rows": trap(
        "a.zip",
        lambda: _parts(format_files.shapefile(), "cities.dbf", 4, struct.pack("<I", 0x7FFF_FFFF)),
        *(1006, LOAD, None),
    ),
    "shapefile with a table head of 0 bytes": trap(
        "a.zip",
        lambda: _parts(format_files.shapefile(), "cities.dbf", 8, bytes(4)),
        *(1006, LOAD, None),
    ),
    "shapefile with a record of 2 GB": trap(
        "a.zip",
        lambda: _parts(format_files.shapefile(), "cities.shx", 104, struct.pack(">I", 0x3FFF_FFFF)),
        *(1006, LOAD, None),
    ),
    "shapefile whose index is gigabytes away": trap(
        "a.zip",
        lambda: _parts(format_files.shapefile(), "cities.shx", 100, struct.pack(">I", 0x7FFF_FFFF)),
        *(1006, LOAD, None),
    ),
    "MapInfo with a million columns": trap(
        "a.mif",
        lambda: "Version 300\nDelimiter \",\"\nColumns 1000000\n"
        + "".join(f"  c{n} Integer\n" for n in range(50_000))
        + "Data\n\nPoint 1 2\n",
        *(LOAD, 2004, 1002, 1006, TOO_BIG, TIMEOUT, None),
    ),
    "MapInfo with a region of a billion points": trap(
        "a.zip",
        lambda: zipped(
            {
                "a.mif": "Version 300\nDelimiter \",\"\nColumns 1\n  a Integer\nData\n\nRegion 1\n"
                "  1000000000\n1 2\n",
                "a.mid": "1\n",
            }
        ),
        *(LOAD, TOO_BIG, TIMEOUT, None),
    ),
    "OSM blob that inflates to 4 GB": trap(
        "a.osm.pbf",
        _pbf_bomb,
        *(LOAD, TOO_BIG, EMPTY, 1002),
    ),
    "XLS whose sectors go in a circle": trap("a.xls", _xls_in_a_circle, 2008),
}  # fmt: skip
