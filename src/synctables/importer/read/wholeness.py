"""Whether an OSM or GML file is whole: GDAL reads one that was cut off, or whose blobs of OSM data
are broken, as a smaller one."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from synctables.errors import LoadError

TAIL_BYTES = 4096
_HEADER_BYTES = 64 * 1024
"""A longer blob header is an error (wiki.openstreetmap.org/wiki/PBF_Format)."""
_MAX_BLOB_BYTES = 32 * 1024 * 1024
"""Of a blob, as it is and uncompressed (same place)."""
_RAW_SIZE, _ZLIB_DATA = 2, 3
"""Fields of a Blob; with other compressions there is nothing to check here."""
_ROOT = re.compile(rb"<([A-Za-z_][\w.:-]*)[\s/>]")
_DATA_SIZE = 0x18
"""The tag of BlobHeader.datasize: field 3, a number."""


def refuse_cut_off(path: Path) -> None:
    """Raise `LoadError` where the end is missing."""
    with path.open("rb") as file:
        head = file.read(TAIL_BYTES)
        file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
        tail = file.read()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # in UTF-16, which is rare: not judged
        return
    is_xml = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    is_whole = _is_closed(head, tail) if is_xml else _has_whole_blobs(path)
    if not is_whole:
        raise LoadError("The file is broken: its end is missing, or something before it.")


def _is_closed(head: bytes, tail: bytes) -> bool:
    """Whether the root element, which has content or not, ends."""
    root = _ROOT.search(head)
    if root is None:
        return True
    is_empty = head[root.start() :].rstrip().endswith(b"/>") and head.count(b"<", root.end()) == 0
    return is_empty or b"</" + root[1] in tail


def _has_whole_blobs(path: Path) -> bool:
    """Blobs follow each other: length of the header, header with the blob's size, blob."""
    size, position = path.stat().st_size, 0
    with path.open("rb") as file:
        while position < size:
            file.seek(position)
            head = file.read(4)
            (length,) = struct.unpack(">I", head) if len(head) == 4 else (0,)
            header = file.read(length) if 0 < length <= _HEADER_BYTES else b""
            blob_bytes = _data_size(header)
            if not header or blob_bytes is None:
                return False
            position += 4 + length + blob_bytes
            if blob_bytes > _MAX_BLOB_BYTES or not _is_sound(file.read(blob_bytes)):
                return False
    return position == size


def _is_sound(blob: bytes) -> bool:
    """Whether the blob inflates to what it says, its checksum (RFC 1950) included."""
    fields = dict(_fields(blob))
    packed, size = fields.get(_ZLIB_DATA), fields.get(_RAW_SIZE)
    if not isinstance(packed, bytes):
        return True
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(packed, _MAX_BLOB_BYTES + 1))
    except zlib.error:
        return False
    return inflater.eof and found == size


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and counted bytes of a protocol buffer, by field."""
    position = 0
    while position < len(message):
        tag, position = _number(message, position)
        value, position = _number(message, position)
        if tag & 7 == 0:
            yield tag >> 3, value
        else:
            yield tag >> 3, message[position : position + value]
            position += value


def _data_size(header: bytes) -> int | None:
    """The number of the header's field 3, its last."""
    position = 0
    while position < len(header):
        tag = header[position]
        value, position = _number(header, position + 1)
        if tag == _DATA_SIZE:
            return value
        position += value  # the other fields are counted bytes
    return None


def _number(text: bytes, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    value = shift = 0
    while position < len(text):
        byte = text[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            break
    return value, position
