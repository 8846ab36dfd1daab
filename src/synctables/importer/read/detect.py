"""What a member is: by its content first, by its name only where the content leaves it open.

Formats that are not read, rasters above all, are named in the refusal, so that the user learns
what the file seems to be rather than what it is not.
"""

from __future__ import annotations

import re
import sqlite3
import zipfile
from collections.abc import Iterable
from urllib.parse import quote

from synctables.errors import (
    EmptyFileError,
    HtmlRefusedError,
    InvalidGeoJsonError,
    InvalidShapefileError,
    MalformedSpreadsheetError,
    PasswordProtectedError,
    UnsupportedFileError,
)
from synctables.importer.containers import ZIP_ERRORS, is_office_file
from synctables.importer.model import Format, Member
from synctables.importer.read.detect_json import detect_json
from synctables.importer.read.mapinfo import is_mif, is_tab
from synctables.importer.read.rasters import refuse_raster

HEAD_BYTES = 65_536
_MIMETYPE_BYTES = 80
_ROOT_CHARACTERS = 8_192
"""A root element with all of its namespaces stands within these."""

_BINARIES: tuple[tuple[bytes, Format], ...] = (
    (b"\0\0\x27\x0a", "shapefile"),
    (b"PAR1", "parquet"),
    (b"fgb\x03", "flatgeobuf"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"ARROW1", "an Arrow file"),
    (b"7z\xbc\xaf\x27\x1c", "an archive inside an archive"),
    (b"Rar!", "an archive inside an archive"),
    (b"BZh", "an archive inside an archive"),
    (b"\xfd7zXZ", "an archive inside an archive"),
    (b"\x28\xb5\x2f\xfd", "an archive inside an archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\0", "a program"),
    (b"RIFF", "a media file"),
    (b"OggS", "a media file"),
    (b"ID3", "a media file"),
    (b"PK\x03\x04", "an archive inside an archive"),
    (b"\x1f\x8b", "an archive inside an archive"),
)
_OSM_PBF = b"\x0a\x09OSMHeader"
"""After the length of the first header, which names its kind (wiki.openstreetmap.org: PBF)."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SIDECARS = frozenset(
    (
        *(".shx", ".dbf", ".prj", ".cpg", ".cst", ".sbn", ".sbx", ".qix", ".qpj", ".fbn", ".fbx"),
        *(".ain", ".aih", ".ixs", ".mxs", ".atx", ".qmd", ".dat", ".map", ".id", ".ind", ".mid"),
    )
)
"""Suffixes of files that belong to a shapefile or a MapInfo table of the same stem."""

_FEW_CONTROLS = 2
"""In a file of a few lines that are more than a hundredth, and still no sign of a binary."""
_XML_NOISE = re.compile(
    r"\s*(?:<\?.*?\?>|<!--.*?-->|<!doctype[^>\[]*(?:\[.*?\])?[^>]*>)", re.S | re.I
)
_ANGLED_HEADER = re.compile(r"\s*<[^<>\n]*>\s*[,;\t|]")
_ROOT = re.compile(r"\s*<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_XML_FORMATS: dict[str, Format] = {"kml": "kml", "gpx": "gpx", "osm": "osm"}
_GML_NAMESPACE = re.compile(r"""["']https?://www\.opengis\.net/gml(?:/3\.\d)?["']""")
_NO_FEATURES = re.compile(r"Capabilities$|Report$|Exception|^(?:rss|feed|html|schema|RDF)$", re.I)
"""Roots of pages that mention GML and hold none."""
_XML_WORKBOOK = "urn:schemas-microsoft-com:office:spreadsheet"
_CODE = (
    (re.compile(r"(?>--[^\n]*\n|/\*.*?\*/|\s)*+(?:CREATE|INSERT|DROP|BEGIN|SET|COPY|USE)\s[^\n]*;",
                re.S | re.I), ".sql", "an SQL script"),
    (re.compile(r"\s*[\w.$]+\(\s*[\[{]"), None, "JSON in a call of a function (JSONP)"),
)  # fmt: skip
"""Text that is no table though it has lines and commas, and the suffix that it must have too."""
_ERROR_TEXT = re.compile(
    r"\b(error|not found|forbidden|access denied|permission denied|unauthori[sz]ed|exception"
    r"|service unavailable|bad gateway|too many requests|internal server|expired|rate limit)\b",
    re.I,
)


def detect(member: Member, *, accept_html: bool = False) -> Format:
    """The format to read ``member`` as.

    Raises `EmptyFileError`, `HtmlRefusedError` (an error page or text instead of data),
    `UnsupportedFileError` and, where name and content contradict each other in a way that tells
    what went wrong, the format's own error.
    """
    if member.size_bytes == 0:
        raise EmptyFileError(f"{member.name} is empty.")
    head = b""
    if member.path.is_file():
        with member.path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    return (
        _detect_binary(member, head)
        or _detect_markup(member, head, accept_html=accept_html)
        or detect_json(member, head_text(head))
        or _detect_mapinfo(head)
        or _detect_text(member, head, accept_html=accept_html)
    )


def _detect_binary(member: Member, head: bytes) -> Format | None:
    if member.path.is_dir():  # `member_paths` makes folders of nothing else
        return "filegdb"
    for magic, kind in _BINARIES:
        if head.startswith(magic):
            return kind
    if head[4:].startswith(_OSM_PBF):
        return "osm"
    if head.startswith(b"SQLite format 3\0"):
        return _detect_sqlite(member)
    if head.startswith(b"PK") and is_office_file(member.path):
        return _detect_office(member)
    if head.startswith(_OLE):
        return _detect_ole(head)
    _refuse_foreign(member, head)
    return None


def _refuse_foreign(member: Member, head: bytes) -> None:
    refuse_raster(member.name, head)
    for magic, name in _OTHERS:
        if head.startswith(magic):
            raise UnsupportedFileError(f"{member.name} seems to be {name}, which is not read.")


def _detect_sqlite(member: Member) -> Format:
    """A GeoPackage has its contents table (OGC 12-128r19, 1.1.3), whatever its application id."""
    uri = f"file:{quote(str(member.path))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            query = "SELECT count(*) FROM sqlite_master WHERE name = 'gpkg_contents'"
            (count,) = connection.execute(query).fetchone()
        finally:
            connection.close()
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        count = 0
    if not count:
        raise UnsupportedFileError(f"{member.name} is an SQLite database but no GeoPackage.")
    return "gpkg"


def _detect_office(member: Member) -> Format:
    try:
        with zipfile.ZipFile(member.path) as archive:
            names = set(archive.namelist())
            kind = b""
            if "mimetype" in names:
                with archive.open("mimetype") as file:
                    kind = file.read(_MIMETYPE_BYTES)
            _refuse_encrypted(archive, names)
    except ZIP_ERRORS as error:
        raise MalformedSpreadsheetError(f"{member.name} is a broken office document.") from error
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "xl/workbook.bin" in names:
        return "xlsb"
    if b"spreadsheet" in kind or ("content.xml" in names and not kind):
        return "ods"
    raise UnsupportedFileError(f"{member.name} seems to be an office document, which is not read.")


def _refuse_encrypted(archive: zipfile.ZipFile, names: set[str]) -> None:
    """Encrypted OpenDocument files say so in their manifest (part 2, 3.4)."""
    manifest = b""
    if "META-INF/manifest.xml" in names:
        with archive.open("META-INF/manifest.xml") as file:
            manifest = file.read(HEAD_BYTES)
    if "encrypted-package" in names or b"encryption-data" in manifest:
        raise PasswordProtectedError("The document is password protected.")


def _detect_ole(head: bytes) -> Format:
    """The container of .xls and of encrypted .xlsx files (MS-OFFCRYPTO 2.3.4.4)."""
    if "EncryptedPackage".encode("utf-16-le") in head:
        raise PasswordProtectedError("The workbook is password protected.")
    return "xls"


def _detect_markup(member: Member, head: bytes, *, accept_html: bool) -> Format | None:
    """A map in XML by its root element; any other page is refused."""
    text = head_text(head)
    if not text.lstrip().startswith("<") or _ANGLED_HEADER.match(text):
        return None
    is_page = re.match(r"\s*<!doctype\s+html", text, re.I)
    while noise := _XML_NOISE.match(text):
        text = text[noise.end() :]
    root = _ROOT.match(text)
    if root is None and not is_page:
        return None
    name = root.group(1) if root else "html"
    if name.lower() in _XML_FORMATS:
        return _XML_FORMATS[name.lower()]
    if _GML_NAMESPACE.search(text[:_ROOT_CHARACTERS]) and not _NO_FEATURES.search(name):
        return "gml"
    if accept_html:
        return "csv"
    if _XML_WORKBOOK in text[:_ROOT_CHARACTERS]:
        raise MalformedSpreadsheetError(f"{member.name} is a workbook in the XML of Excel 2003.")
    raise HtmlRefusedError(f"{member.name} is a page (<{name[:40]}>) and not a data file.")


def _detect_mapinfo(head: bytes) -> Format | None:
    return "mapinfo" if is_tab(head) or is_mif(head) else None


def _detect_text(member: Member, head: bytes, *, accept_html: bool) -> Format:
    """Everything else that is text is delimited text, under whatever name."""
    if not _is_text(head):
        if member.path.suffix in {".xlsx", ".xls", ".xlsb", ".ods"}:
            raise MalformedSpreadsheetError(f"{member.name} is no workbook.")
        raise UnsupportedFileError(f"{member.name} is a binary file of an unknown kind.")
    if member.path.suffix == ".geojson":
        raise InvalidGeoJsonError(f"{member.name} is not JSON.")
    text = head_text(head).strip()
    _refuse_code(member, text)
    is_error_text = len(text) < 500 and text.count("\n") < 2 and _ERROR_TEXT.search(text)
    if is_error_text and not accept_html and not re.search(r"[,;\t|]", text):
        raise HtmlRefusedError(f"{member.name} is an error text and not data: {text[:100]!r}")
    return "csv"


def _refuse_code(member: Member, text: str) -> None:
    for pattern, suffix, name in _CODE:
        if suffix in {None, member.path.suffix} and pattern.match(text):
            raise UnsupportedFileError(f"{member.name} seems to be {name}, which is not read.")


def head_text(head: bytes) -> str:
    for mark, encoding in (
        (b"\xff\xfe\0\0", "utf-32-le"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    return head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def _is_text(head: bytes) -> bool:
    """Few control characters, or UTF-16/32 (half of its bytes or more may be NUL)."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    if head[1::2].count(0) > 0.3 * len(head) / 2 or head[0::2].count(0) > 0.3 * len(head) / 2:
        return _is_bare_utf16(head)
    controls = sum(head.count(bytes([code])) for code in (*range(9), *range(14, 27), 28, 29))
    return controls <= max(0.02 * len(head), _FEW_CONTROLS)


def _is_bare_utf16(head: bytes) -> bool:
    """UTF-16 without a byte order mark: NULs in every other byte only."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    few, many = sorted((even, odd))
    return few <= 0.02 * len(head) and many > 0.3 * len(head) / 2


def is_sidecar(member: Member) -> bool:
    """Whether the file only accompanies a shapefile."""
    return member.path.suffix in SIDECARS or member.name.lower().endswith(".shp.xml")


def refuse_stray_parts(members: Iterable[Member]) -> None:
    """Raise `InvalidShapefileError` for parts of a shapefile without the .shp itself."""
    suffixes = {member.path.suffix for member in members}
    if {".shx", ".dbf"} <= suffixes:
        raise InvalidShapefileError("The archive lacks the .shp file.")
