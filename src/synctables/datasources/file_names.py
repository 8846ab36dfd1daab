"""The name a fetched file goes by: pure rules over what its server and its address say.

In this order: the ``Content-Disposition`` header (RFC 6266), the last segment of the address that
answered, of the address that was asked, a word of either query - these three only where they end
in an extension that this service knows - then any last segment at all, then ``file``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote, unquote_to_bytes, urlsplit

DEFAULT_FILE_NAME = "file"
MAX_FILE_NAME_BYTES = 200

KNOWN_EXTENSIONS = frozenset(
    [
        *("csv", "tsv", "tab", "txt", "xlsx", "xls", "xlsb", "ods"),
        *("geojson", "geojsonl", "geojsons", "ndjson", "jsonl", "json", "topojson"),
        *("shp", "mif", "kml", "kmz", "gpx", "gpkg", "gdb", "fgdb", "fgb", "gml", "osm", "pbf"),
        *("parquet", "geoparquet", "carto"),
        *("zip", "gz", "tgz", "tar", "bz2", "tbz2", "xz", "txz", "zst", "7z", "rar"),
    ]
)

_PARAMETER = re.compile(
    r""";\s*(?P<name>[\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^;]*))"""
)
_EXTENDED_VALUE = re.compile(r"(?P<charset>[\w!#$%&+^`{}~-]+)'[\w-]*'(?P<value>.*)", re.ASCII)
_QUERY_WORD = re.compile(r"[^&;=?/\\]+")
_LONGEST_EXTENSION_BYTES = 24


def choose_file_name(*, content_disposition: str | None, final_url: str, first_url: str) -> str:
    """The first candidate that leaves a name when made safe; ``file`` if none does."""
    candidates = (
        *_disposition_names(content_disposition or ""),
        *_address_names((final_url, first_url)),
    )
    names = (safe_file_name(candidate) for candidate in candidates)
    return next((name for name in names if name), DEFAULT_FILE_NAME)


def safe_file_name(name: str) -> str:
    """The name without folders, control and invisible characters, leading dots; 200 bytes at most.

    Empty where nothing is left. Too long a name keeps its extension.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    visible = "".join(one for one in last if unicodedata.category(one)[0] != "C")
    return _shorten(visible.strip().lstrip(".").strip())


def _shorten(name: str) -> str:
    if len(name.encode()) <= MAX_FILE_NAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    tail = f".{extension}" if dot and len(extension.encode()) <= _LONGEST_EXTENSION_BYTES else ""
    head = (stem if tail else name).encode()[: MAX_FILE_NAME_BYTES - len(tail.encode())]
    return head.decode("utf-8", "ignore").rstrip() + tail


def _disposition_names(header: str) -> Iterator[str]:
    """``filename*`` before ``filename`` (RFC 6266 section 4.3)."""
    found = {
        match["name"].lower(): _unquote(match) for match in _PARAMETER.finditer(";" + _tail(header))
    }
    if "filename*" in found:
        yield _decode_extended(found["filename*"])
    if "filename" in found:
        yield _repair(found["filename"])


def _tail(header: str) -> str:
    """The parameters; a header without its type (``filename=x``) is common enough."""
    kind, _, rest = header.partition(";")
    return header if "=" in kind else rest


def _unquote(match: re.Match[str]) -> str:
    if match["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", match["quoted"])
    return match["token"].strip()


def _decode_extended(value: str) -> str:
    """``UTF-8'en'na%C3%AFve.csv`` (RFC 8187 section 3.2); empty if it cannot be read."""
    match = _EXTENDED_VALUE.fullmatch(value)
    if not match:
        return ""
    try:
        return unquote_to_bytes(match["value"]).decode(match["charset"])
    except (LookupError, UnicodeError):
        return ""


def _repair(value: str) -> str:
    """Bytes that were no UTF-8 arrive as surrogates; by the old rule they are ISO-8859-1."""
    octets = value.encode("utf-8", "surrogateescape")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _address_names(urls: tuple[str, ...]) -> Iterator[str]:
    segments = [unquote(urlsplit(url).path.rpartition("/")[2]) for url in urls]
    words = [unquote(word) for url in urls for word in _QUERY_WORD.findall(urlsplit(url).query)]
    yield from (name for name in (*segments, *words) if has_known_extension(name))
    yield from segments


def has_known_extension(name: str) -> bool:
    """Whether the name ends in an extension of a format this service knows."""
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and extension.lower() in KNOWN_EXTENSIONS
