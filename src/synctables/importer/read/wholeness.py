"""Whether an OSM or GML file is whole: GDAL reads one that was cut off as a smaller one."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from synctables.errors import LoadError

TAIL_BYTES = 4096
_HEADER_BYTES = 64 * 1024
"""A longer blob header is an error (wiki.openstreetmap.org/wiki/PBF_Format)."""
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
        raise LoadError("The file is broken: its end is missing.")


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
    return position == size


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
