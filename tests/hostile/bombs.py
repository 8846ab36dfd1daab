"""Files that are small and want to become large: archives, sheets, markup, JSON, columns.

Each maker gives the bytes of one file. Made after the formats' specifications, and after published
attacks where there are some: overlapping members (Fifield, "A better zip bomb", 2019), entities
that multiply ("billion laughs"), streams joined to streams.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.traps import filled
from tests.support.archive_files import ARCHIVES
from tests.support.spreadsheet_files import ods_workbook

MIB = 1 << 20
GIB = 1 << 30
ZEROS = bytes(MIB)
CSV = b"a,b\n1,2\n"


def deflated_zeros(size: int) -> bytes:
    """A deflate stream of so many zeros, without compressing them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (size // MIB - 1) + packer.flush(zlib.Z_FINISH)


def gzip_of_zeros(size: int) -> bytes:
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + deflated_zeros(size) + struct.pack("<II", 0, size & 0xFFFF_FFFF)


def bzip2_streams(count: int) -> bytes:
    return bz2.compress(bytes(9 * MIB)) * count


def xz_streams(count: int) -> bytes:
    return lzma.compress(bytes(64 * MIB)) * count


def zstd_frames(count: int) -> bytes:
    return ARCHIVES["zst"]({"a": bytes(64 * MIB)}) * count


def zstd_with_a_window_of_two_gigabytes() -> bytes:
    """A frame header that asks for a window of 2 GiB (RFC 8878, 3.1.1.1.2)."""
    return b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x01\x00\x00" + CSV


def xz_with_a_dictionary_of_four_gigabytes() -> bytes:
    content = bytearray(lzma.compress(CSV))
    at = content.index(b"\x21\x01", 12)
    content[at + 2] = 40  # 4 GiB - 1 (xz file format, 5.3.1)
    size = (content[12] + 1) * 4
    content[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(content[12 : 12 + size - 4]))
    return bytes(content)


def _zip_entry(name: bytes, packed: int, size: int, *, offset: int | None, mode: int) -> bytes:
    """A local header, or with ``offset`` one of the directory (APPNOTE 4.3.7, 4.3.12)."""
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, packed, size, len(name), 0)
    if offset is None:
        return b"PK\x03\x04" + common + name
    tail = struct.pack("<HHHII", 0, 0, 0, mode << 16, offset)
    return b"PK\x01\x02" + struct.pack("<H", 3 << 8 | 20) + common + tail + name


def zip_of_overlapping_members(count: int, size: int) -> bytes:
    """A directory whose members are all the same bytes."""
    kernel = deflated_zeros(size)
    content = _zip_entry(b"0.csv", len(kernel), size, offset=None, mode=0) + kernel
    directory = b"".join(
        _zip_entry(f"{n}.csv".encode(), len(kernel), size, offset=0, mode=0o100644 << 0)
        for n in range(count)
    )
    stated = min(count, 0xFFFF)
    end = struct.pack("<HHHHIIH", 0, 0, stated, stated, len(directory), len(content), 0)
    return content + directory + b"PK\x05\x06" + end


def zip_of_one(size: int) -> bytes:
    return zip_of_overlapping_members(1, size)


def zip_of_many(count: int) -> bytes:
    return zipped({f"{n}.csv": b"" for n in range(count)})


def zip_of_zips(depth: int, width: int) -> bytes:
    """Like 42.zip: every archive holds several, the last of them zeros."""
    content = zip_of_one(64 * MIB)
    for _ in range(depth):
        content = zipped({f"{n}.zip": content for n in range(width)})
    return content


def zipped(files: dict[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            whole = content.encode() if isinstance(content, str) else content
            archive.writestr(name, filled(whole))
    return buffer.getvalue()


def zip_with_link(target: str) -> bytes:
    """A member whose mode says that it is a symbolic link, and nothing beside it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("link.csv")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        archive.writestr(entry, filled(target.encode()))
    return buffer.getvalue()


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tar_entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, filled(target.encode()).decode()
    return entry


def tar_of_a_sparse_terabyte() -> bytes:
    """Four bytes of a file that is said to be a terabyte (PAX, GNU.sparse 0.0)."""
    entry = tar_entry("a.csv")
    entry.pax_headers = {
        "GNU.sparse.size": str(1 << 40),
        "GNU.sparse.numblocks": "1",
        "GNU.sparse.offset": str((1 << 40) - 4),
        "GNU.sparse.numbytes": "4",
    }
    return tar_of((entry, b"1,2\n"))


def tar_with_a_header_of_gigabytes() -> bytes:
    """A PAX header that says it is 8 GB long; behind it comes nothing."""
    entry = tar_entry("x", tarfile.XHDTYPE)
    entry.size = 8 * GIB - 1
    return entry.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)


def gzip_of(content: bytes) -> bytes:
    return gzip.compress(content, 9)


def entities(root: str, body: str, *, levels: int = 12) -> bytes:
    """Ten to the power of ``levels`` times the same text, in a page of the given root."""
    lines = ['<!ENTITY e0 "lol">']
    lines += [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels)]
    declared = "".join(lines)
    return f'<?xml version="1.0"?><!DOCTYPE {root} [{declared}]>{body}'.encode()


def quadratic(root: str, body: str) -> bytes:
    """One long entity, named many times: slow, and below the limits on nesting."""
    declared = f'<!ENTITY e11 "{"x" * 100_000}">'
    text = body.replace("&e11;", "&e11;" * 20_000)
    return f'<?xml version="1.0"?><!DOCTYPE {root} [{declared}]>{text}'.encode()


def external(address: str, root: str, body: str) -> bytes:
    """An entity that is another file, one that is at an address, and a foreign DTD."""
    declared = f'<!ENTITY e11 SYSTEM "{address}"><!ENTITY % p SYSTEM "{address}"> %p;'
    return f'<?xml version="1.0"?><!DOCTYPE {root} SYSTEM "{address}" [{declared}]>{body}'.encode()


def workbook(sheet: str, *, shared: str = "", styles: str = "", more: str = "") -> bytes:
    """The least that is an XLSX; ``sheet``, ``shared`` and ``styles`` are whole parts."""
    package = "http://schemas.openxmlformats.org/package/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kinds = {"worksheet": "worksheets/sheet1.xml", "sharedStrings": "sharedStrings.xml",
             "styles": "styles.xml"}  # fmt: skip
    relations = "".join(
        f'<Relationship Id="rId{n}" Type="{office}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(kinds.items(), start=1)
    )
    book = (
        f'{more}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship '
            f'Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": book,
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
            f"{relations}</Relationships>",
            "xl/worksheets/sheet1.xml": sheet,
            "xl/sharedStrings.xml": shared or f'<sst xmlns="{main}"/>',
            "xl/styles.xml": styles or f'<styleSheet xmlns="{main}"/>',
        }
    )


def worksheet(rows: str, *, head: str = "") -> str:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'{head}<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'


def cell(place: str, value: str = "1", kind: str = "n") -> str:
    return f'<c r="{place}" t="{kind}"><v>{value}</v></c>'


ROW = f'<row r="1">{cell("A1")}</row><row r="2">{cell("A2")}</row>'


def ods_of(rows: str) -> bytes:
    return ods_workbook({"S": rows})


def ods_with_content(content: bytes) -> bytes:
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return zipped({"mimetype": kind, "content.xml": content})


def parquet_of_equal_rows(count: int) -> bytes:
    """So many equal rows, run-length encoded to a few bytes."""
    sink = io.BytesIO()
    part = pa.table({"a": pa.nulls(10_000_000, pa.int64())})
    with pq.ParquetWriter(sink, part.schema, compression="zstd") as writer:
        for _ in range(count // 10_000_000):
            writer.write_table(part, row_group_size=10_000_000)
    return sink.getvalue()


def parquet_with(old: bytes, new: bytes) -> bytes:
    """A small Parquet file in whose footer a number is another."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": ["x"] * 77}), sink, compression="none", use_dictionary=False)
    content = sink.getvalue()
    head, footer = content[:-300], content[-300:]
    return head + footer.replace(old, new)


def nested(before: str, after: str, depth: int, inside: str = "1") -> str:
    return before * depth + inside + after * depth
