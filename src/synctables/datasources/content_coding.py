"""Undo ``Content-Encoding``, for servers that compress although asked not to.

A coded body is stored as it came, so that a broken download can be resumed by its byte ranges,
and decoded afterwards. What was coded by mistake in name only (a plain body declared ``gzip``) is
left as it is.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from synctables.datasources.sink import check_size, disk_errors
from synctables.errors import DownloadRefusedError, PartialFileError

_GZIP = ("gzip", "x-gzip")
_UNREADABLE = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")
_PIECE_BYTES = 1 << 18
_GZIP_MAGIC = b"\x1f\x8b"


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def coding_of(content_encoding: str | None) -> str | None:
    """``gzip``, ``deflate`` or None (nothing to undo), of a ``Content-Encoding`` header.

    Unknown words (``utf-8``, ``binary``, ``aws-chunked``) are mistakes seen in the wild and mean
    nothing. Raises `DownloadRefusedError` for a coding that this service cannot undo.
    """
    words = [word.strip().lower() for word in (content_encoding or "").split(",")]
    known = ["gzip" if word in _GZIP else word for word in words if word in (*_GZIP, "deflate")]
    unreadable = next((word for word in words if word in _UNREADABLE), None)
    if unreadable or len(known) > 1:
        shown = unreadable or ", ".join(known)
        message = f'The server compresses its answers as "{shown}" although asked not to.'
        raise DownloadRefusedError(message)
    return known[0] if known else None


def decode_in_place(path: Path, *, coding: str, max_bytes: int) -> tuple[int, str]:
    """Decode a file in its place, as `decode_file` does. Returns its new size and sha-256."""
    coded = path.with_name(path.name + ".coded")
    path.rename(coded)
    try:
        return decode_file(coded, path, coding=coding, max_bytes=max_bytes)
    finally:
        coded.unlink()


def decode_file(source: Path, target: Path, *, coding: str, max_bytes: int) -> tuple[int, str]:
    """Write the decoded bytes of ``source`` to ``target``. Returns their count and sha-256 in hex.

    Raises `FileTooBigError` beyond ``max_bytes``, `PartialFileError` where the stream is broken.
    """
    size_bytes, digest = 0, hashlib.sha256()
    with disk_errors(), target.open("wb") as file:
        for piece in _decoded(source, coding):
            size_bytes += len(piece)
            check_size(size_bytes, max_bytes)
            digest.update(piece)
            file.write(piece)
    return size_bytes, digest.hexdigest()


def _decoded(source: Path, coding: str) -> Iterator[bytes]:
    with source.open("rb") as file:
        head = file.read(2)
        file.seek(0)
        pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
        window_bits = _window_bits(coding, head)
        yield from pieces if window_bits is None else _inflate(pieces, window_bits)


def _window_bits(coding: str, head: bytes) -> int | None:
    """zlib's ``wbits`` for what the first two bytes show; None: the body is not coded at all."""
    if coding == "gzip":
        return 16 + zlib.MAX_WBITS if head == _GZIP_MAGIC else None
    # RFC 9110 section 8.4.1.2: "deflate" is the zlib format, yet some send the bare stream.
    is_zlib = len(head) == 2 and head[0] & 0x0F == 8 and int.from_bytes(head, "big") % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS


def _inflate(pieces: Iterator[bytes], window_bits: int) -> Iterator[bytes]:
    """The decoded pieces of one stream, or of several gzip members on end (RFC 1952)."""
    decompressor: _Decompressor = zlib.decompressobj(window_bits)
    try:
        for piece in pieces:
            data, is_full = piece, False
            while data or is_full:
                if decompressor.eof:
                    if not data.startswith(_GZIP_MAGIC[:1]):
                        return  # padding after the last member
                    decompressor = zlib.decompressobj(window_bits)
                decoded = decompressor.decompress(data, _PIECE_BYTES)
                yield decoded
                # A full piece may leave output inside zlib although the input is used up.
                is_full = len(decoded) == _PIECE_BYTES and not decompressor.eof
                data = decompressor.unused_data or decompressor.unconsumed_tail
    except zlib.error as error:
        raise PartialFileError("The server's compressed answer is broken.") from error
    if not decompressor.eof:
        raise PartialFileError("The server's compressed answer ends too early.")
