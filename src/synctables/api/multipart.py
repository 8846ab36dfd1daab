"""multipart/form-data as a stream of events, so that a file never lies whole in memory.

RFC 7578. The parser is python-multipart's; here are its limits and the meaning of the parts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from synctables.errors import InvalidRequestError

FILE_FIELDS = ("file", "filename")


@dataclass(frozen=True)
class FieldRead:
    """A form field, whole."""

    name: str
    value: str


@dataclass(frozen=True)
class FileBegun:
    """A file begins; its `FileData` follow."""

    file_name: str


@dataclass(frozen=True)
class FileData:
    content: bytes


Event = FieldRead | FileBegun | FileData


def is_multipart(content_type: str) -> bool:
    return content_type.strip().lower().startswith("multipart/")


class MultipartReader:
    """Feed it the body in pieces; each call gives the events that became complete.

    Only the first file counts; the content of further ones is passed over. Raises
    `InvalidRequestError` for a body that is broken, cut off, or has too long fields.
    """

    def __init__(self, content_type: str, *, max_fields_bytes: int) -> None:
        kind, options = parse_options_header(content_type.encode("latin-1", errors="replace"))
        boundary = options.get(b"boundary")
        if kind.lower() != b"multipart/form-data" or not boundary:
            raise InvalidRequestError("A multipart body must be form-data with a boundary.")
        self._events: list[Event] = []
        self._bytes_left = max_fields_bytes
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._field_name = ""
        self._field_value = bytearray()
        self._part: str = "field"
        self._has_file = False
        self._has_ended = False
        try:
            self._parser = self._create_parser(boundary)
        except FormParserError as error:
            raise InvalidRequestError(f"The multipart body cannot be read: {error}.") from error

    def _create_parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
            max_size=math.inf,
        )

    def feed(self, chunk: bytes) -> list[Event]:
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidRequestError(f"The multipart body cannot be read: {error}.") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Raise `InvalidRequestError` unless the closing boundary was seen."""
        if not self._has_ended:
            raise InvalidRequestError("The multipart body is cut off.")

    def _begin_part(self) -> None:
        self._disposition = b""
        self._field_value.clear()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field_name = _decode(options.get(b"name", b""))
        file_name = options.get(b"filename")
        if file_name is None and self._field_name != FILE_FIELDS[0]:
            self._part = "field"
        elif self._has_file:
            self._part = "further file"
        else:
            self._part, self._has_file = "file", True
            self._events.append(FileBegun(_decode(file_name or b"")))

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._part == "file":
            self._events.append(FileData(data[start:end]))
        elif self._part == "field":
            self._bytes_left -= end - start
            if self._bytes_left < 0:
                raise InvalidRequestError("The form's fields are too long.")
            self._field_value += data[start:end]

    def _end_part(self) -> None:
        if self._part == "field":
            self._events.append(FieldRead(self._field_name, _decode(bytes(self._field_value))))

    def _end(self) -> None:
        self._has_ended = True


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
