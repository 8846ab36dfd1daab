"""Any files inside every archive that is unpacked."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import libarchive

Files = dict[str, bytes]


def zip_of(parts: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def varint(number: int) -> bytes:
    """As RAR 5 and protocol buffers write a number: seven bits a byte, the lowest first."""
    head = bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
    return head + varint(number >> 7) if number > 0x7F else head


def _archive(files: Files, format_name: str, filter_name: str | None = None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/archive"
        with libarchive.file_writer(path, format_name, filter_name) as archive:
            for name, content in files.items():
                archive.add_file_from_memory(name, len(content), content)
        return Path(path).read_bytes()


def _compress(files: Files, filter_name: str) -> bytes:
    """Of several files, a tar of them; of one, only that."""
    if len(files) > 1:
        return _archive(files, "pax_restricted", filter_name)
    return _archive(files, "raw", filter_name)


def _rar_number(number: int) -> bytes:
    return varint(number)


def _rar_block(kind: int, flags: int, content: bytes, data: bytes = b"") -> bytes:
    """A block of RAR 5 (rarlab.com/technote.htm): checksum, size, kind, flags, content."""
    size = _rar_number(len(data)) if data else b""
    head = _rar_number(kind) + _rar_number(flags | (2 if data else 0)) + size + content
    head = _rar_number(len(head)) + head
    return struct.pack("<I", zlib.crc32(head)) + head + data


def rar(files: Files) -> bytes:
    """RAR 5 with its files stored as they are, which is the only method that is described."""
    parts = [b"Rar!\x1a\x07\x01\x00", _rar_block(1, 0, _rar_number(0))]
    for name, content in files.items():
        encoded = name.encode()
        about = (
            _rar_number(4)  # a checksum follows
            + _rar_number(len(content))
            + _rar_number(0o100644)
            + struct.pack("<I", zlib.crc32(content))
            + _rar_number(0)  # stored
            + _rar_number(1)  # made on Unix
            + _rar_number(len(encoded))
            + encoded
        )
        parts.append(_rar_block(2, 0, about, content))
    parts.append(_rar_block(5, 0, _rar_number(0)))
    return b"".join(parts)


ARCHIVES: dict[str, Callable[[Files], bytes]] = {
    "zip": lambda files: zip_of(dict(files)),
    "tar": lambda files: _archive(files, "ustar"),
    "tgz": lambda files: _archive(files, "ustar", "gzip"),
    "gz": lambda files: _compress(files, "gzip"),
    "bz2": lambda files: _compress(files, "bzip2"),
    "xz": lambda files: _compress(files, "xz"),
    "zst": lambda files: _compress(files, "zstd"),
    "tar.xz": lambda files: _archive(files, "ustar", "xz"),
    "7z": lambda files: _archive(files, "7zip"),
    "rar": rar,
}
"""By suffix. A compressor holds one file; of several it gets a tar."""
