"""Spreadsheets of any cells, byte by byte after their specifications: ODS and XLSB."""

from __future__ import annotations

import struct

from tests.support.archive_files import zip_of


def ods_file(rows: str, *, sheet: str = "Cities") -> bytes:
    """An OpenDocument spreadsheet of the given rows."""
    return ods_workbook({sheet: rows})


def ods_workbook(sheets: dict[str, str]) -> bytes:
    """An OpenDocument spreadsheet of the rows of each sheet."""
    tables = "".join(
        f'<table:table table:name="{name}">{rows}</table:table>' for name, rows in sheets.items()
    )
    spaces = " ".join(
        f'xmlns:{key}="urn:oasis:names:tc:opendocument:xmlns:{key}:1.0"'
        for key in ("office", "table", "text")
    )
    calc = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    content = (
        f'<?xml version="1.0"?><office:document-content {spaces} xmlns:calcext="{calc}">'
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
        "</office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<m:file-entry m:full-path="/" m:media-type="{kind}"/></m:manifest>'
    )
    parts = {"mimetype": kind, "META-INF/manifest.xml": manifest, "content.xml": content}
    return zip_of(dict(parts))


def _record(kind: int, content: bytes = b"") -> bytes:
    """A record of XLSB (MS-XLSB 2.1.4)."""
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = bytes([len(content)]) if len(content) < 128 else b""
    return head + (size or bytes([len(content) & 0x7F | 0x80, len(content) >> 7])) + content


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


XLSB_ERROR = object()


def xlsb_file(rows: dict[int, dict[int, object]]) -> bytes:
    """A binary workbook with one sheet; cells by row and column, from 0."""
    last = (max(rows), max(column for cells in rows.values() for column in cells))
    sheet = _record(129) + _record(148, struct.pack("<IIII", 0, last[0], 0, last[1])) + _record(145)
    for number, cells in rows.items():
        sheet += _record(0, struct.pack("<IIHBBBI", number, 0, 300, 0, 0, 0, 0))
        for column, value in cells.items():
            place = struct.pack("<II", column, 0)
            if value is XLSB_ERROR:
                sheet += _record(3, place + b"\x07")
            elif isinstance(value, str):
                sheet += _record(6, place + _wide(value))
            else:
                sheet += _record(5, place + struct.pack("<d", value))
    sheet += _record(146) + _record(130)
    book = (
        _record(131)
        + _record(143)
        + _record(156, struct.pack("<II", 0, 1) + _wide("rId1") + _wide("Cities"))
    )
    book += _record(144) + _record(132)
    package = "http://schemas.openxmlformats.org/package/2006"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    types = f'<Types xmlns="{package}/content-types"/>'

    def relations(target: str, kind: str) -> str:
        return (
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
            f'Type="{office}/{kind}" Target="{target}"/></Relationships>'
        )

    return zip_of(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": relations("xl/workbook.bin", "officeDocument"),
            "xl/workbook.bin": book,
            "xl/_rels/workbook.bin.rels": relations("worksheets/sheet1.bin", "worksheet"),
            "xl/worksheets/sheet1.bin": sheet,
        }
    )
