"""Archives: what comes out of them, and what is refused by which name."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synctables.errors import (
    DecompressionError,
    EmptyFileError,
    EncodingError,
    FileTooBigError,
    PasswordProtectedError,
    RunError,
)
from synctables.importer.model import Limits
from tests.support.archive_files import ARCHIVES
from tests.support.reading import LIMITS, unpack_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CSV = b"a,b\n1,2\n"


def make_zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def make_tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def make_tar_with(entry: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry)
        good = tarfile.TarInfo("good.csv")
        good.size = len(CSV)
        archive.addfile(good, io.BytesIO(CSV))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        pytest.param("a.csv", CSV, {"a.csv": CSV}, id="a plain file is its own member"),
        pytest.param("a.zip", make_zip({"b.csv": CSV}), {"b.csv": CSV}, id="zip"),
        pytest.param("a.csv.gz", gzip.compress(CSV), {"a.csv": CSV}, id="gz drops its suffix"),
        pytest.param("a", gzip.compress(CSV), {"a": CSV}, id="gz under any name"),
        pytest.param("a.tar", make_tar({"b.csv": CSV}), {"b.csv": CSV}, id="tar"),
        pytest.param("a.tgz", make_tar({"b.csv": CSV}, "w:gz"), {"b.csv": CSV}, id="tgz"),
        pytest.param("a", make_tar({"b.csv": CSV}, "w:gz"), {"b.csv": CSV}, id="tgz by content"),
        pytest.param(
            "a.zip", make_zip({"in.zip": make_zip({"b.csv": CSV})}), {"b.csv": CSV}, id="zip in zip"
        ),
        pytest.param(
            "a.zip.gz", gzip.compress(make_zip({"b.csv": CSV})), {"b.csv": CSV}, id="zip in gz"
        ),
        pytest.param(
            "a.zip",
            make_zip({"x/README.txt": b"no", "__MACOSX/._b.csv": b"no", ".hidden.csv": b"no",
                      "x/y.version.txt": b"no", "x/b.csv": CSV}),
            {"x/b.csv": CSV},
            id="notes and hidden files are skipped",
        ),
        pytest.param(
            "a.zip", make_zip({"x\\b.csv": CSV, "./c.csv": CSV, "/d.csv": CSV}),
            {"x/b.csv": CSV, "c.csv": CSV, "d.csv": CSV}, id="odd separators are cleaned",
        ),
        pytest.param(
            "a.zip", make_zip({"数据/é.csv": CSV}), {"数据/é.csv": CSV}, id="names in any script"
        ),
        pytest.param(
            "a.zip", make_zip({"A.csv": CSV, "a.csv": b"x\n"}), {"A.csv": CSV, "a.csv": b"x\n"},
            id="names that differ in case only are both kept",
        ),
        pytest.param(
            "map.kmz", make_zip({"doc.kml": b"<kml/>"}), {"map.kml": b"<kml/>"},
            id="a kmz gives its kml its own name",
        ),
        pytest.param(
            "a.tar", make_tar_with(link("evil.csv", "/etc/passwd", tarfile.SYMTYPE)),
            {"good.csv": CSV}, id="symbolic links are left out",
        ),
        pytest.param(
            "a.tar", make_tar_with(link("evil.csv", "good.csv", tarfile.LNKTYPE)),
            {"good.csv": CSV}, id="hard links are left out",
        ),
        pytest.param(
            "a.tar", make_tar_with(link("evil.csv", "", tarfile.FIFOTYPE)),
            {"good.csv": CSV}, id="pipes are left out",
        ),
        pytest.param(
            "a.xlsx", make_zip({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<w/>"}),
            None, id="a workbook is read, not unpacked",
        ),
    ],
)  # fmt: skip
def test_members_of(
    tmp_path: Path, name: str, content: bytes, expected: dict[str, bytes] | None
) -> None:
    expected = expected or {name: content}
    members = unpack_bytes(tmp_path, name, content).members
    assert {member.name: member.path.read_bytes() for member in members} == expected
    assert [member.size_bytes for member in members] == [
        len(expected[member.name]) for member in members
    ]


def test_parts_of_a_shapefile_stay_together_whatever_their_case(tmp_path: Path) -> None:
    content = make_zip(
        {"Roads.SHP": b"1", "roads.shx": b"2", "ROADS.dbf": b"3", "b/Roads.shp": b"4"}
    )
    members = {
        member.name: member.path for member in unpack_bytes(tmp_path, "a.zip", content).members
    }
    assert members["Roads.SHP"].with_suffix(".shx") == members["roads.shx"]
    assert members["Roads.SHP"].with_suffix(".dbf") == members["ROADS.dbf"]
    assert members["b/Roads.shp"].parent != members["Roads.SHP"].parent


def encrypted_zip() -> bytes:
    """A zip whose entry says that it is encrypted (APPNOTE 4.4.4, bit 0)."""
    content = bytearray(make_zip({"b.csv": CSV * 20}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def zip_with_wrong_checksum() -> bytes:
    content = bytearray(make_zip({"b.csv": CSV}))
    content[14] ^= 0xFF
    content[content.index(b"PK\x01\x02") + 16] ^= 0xFF
    return bytes(content)


def tar_with_latin_name() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", encoding="latin-1", format=tarfile.USTAR_FORMAT
    ) as tar:
        entry = tarfile.TarInfo("espa\xf1a.csv")
        tar.addfile(entry)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"", EmptyFileError, id="an empty file"),
        pytest.param(make_zip({}), EmptyFileError, id="an empty archive"),
        pytest.param(make_zip({"README.txt": b"x"}), EmptyFileError, id="nothing but notes"),
        pytest.param(encrypted_zip(), PasswordProtectedError, id="a password"),
        pytest.param(make_zip({"b.csv": CSV * 99})[:-40], DecompressionError, id="a cut-off zip"),
        pytest.param(b"PK\x03\x04" + b"\0" * 300, DecompressionError, id="a zip of zeros"),
        pytest.param(gzip.compress(CSV * 999)[:-20], DecompressionError, id="a cut-off gz"),
        pytest.param(gzip.compress(CSV)[:-8] + b"\0" * 8, DecompressionError, id="a wrong gz sum"),
        pytest.param(zip_with_wrong_checksum(), DecompressionError, id="a wrong zip sum"),
        pytest.param(make_tar({"b.csv": CSV * 999})[:2000], DecompressionError, id="a cut-off tar"),
        pytest.param(make_zip({"../b.csv": CSV}), DecompressionError, id="a path that leads out"),
        pytest.param(make_tar({"a/../../b": CSV}), DecompressionError, id="a path that leads up"),
        pytest.param(tar_with_latin_name(), EncodingError, id="a name in no encoding"),
    ],
)
def test_refuses(tmp_path: Path, content: bytes, error: type[RunError]) -> None:
    with pytest.raises(error):
        unpack_bytes(tmp_path, "a.bin", content)


def test_a_zip_name_in_code_page_437_is_decoded(tmp_path: Path) -> None:
    content = make_zip({"espana.csv": CSV}).replace(b"espana", b"espa\xa4a")
    (member,) = unpack_bytes(tmp_path, "a.zip", content).members
    assert member.name == "españa.csv"


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        pytest.param(Limits(max_bytes=1000), FileTooBigError, id="bytes"),
        pytest.param(Limits(max_bytes=1 << 30, max_members=2), DecompressionError, id="files"),
    ],
)
@pytest.mark.parametrize("make", [make_zip, make_tar], ids=["zip", "tar"])
def test_limits_on(
    tmp_path: Path,
    make: Callable[[dict[str, bytes]], bytes],
    limits: Limits,
    error: type[RunError],
) -> None:
    content = make({f"{number}.csv": b"x" * 500 for number in range(3)})
    with pytest.raises(error):
        unpack_bytes(tmp_path, "a", content, limits=limits)


def test_a_bomb_is_refused_long_before_it_is_unpacked(tmp_path: Path) -> None:
    content = gzip.compress(b"\0" * (200 << 20), 1)
    with pytest.raises(DecompressionError, match="grows more than 100 times"):
        unpack_bytes(
            tmp_path, "a.gz", content, limits=Limits(max_bytes=1 << 40, max_expansion_ratio=100)
        )
    assert sum(file.stat().st_size for file in tmp_path.rglob("*")) < 100 << 20


def test_a_quine_that_unpacks_to_itself_ends(tmp_path: Path) -> None:
    content = CSV
    for _ in range(20):
        content = gzip.compress(content)
    (member,) = unpack_bytes(tmp_path, "a.gz", content).members
    assert member.path.read_bytes().startswith(b"\x1f\x8b")


NAMES = st.text(
    st.sampled_from("aB9 ._-/\\é\u202e数\n:*?'\"~$"), min_size=1, max_size=40
) | st.sampled_from(["../x", "/etc/passwd", "a/../../b", "CON", "x" * 300, "-rf", "a\x1bb"])


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    names=st.lists(NAMES, max_size=6),
    kind=st.sampled_from(["zip", "tar", "tgz"]),
    seed=st.integers(0, 2**16),
    is_broken=st.booleans(),
)
def test_any_archive_unpacks_inside_its_folder_or_raises_one_of_our_errors(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    kind: str,
    seed: int,
    is_broken: bool,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    files = {name: bytes(random.Random(seed).randbytes(50)) for name in names}
    content = bytearray(
        make_zip(files) if kind == "zip" else make_tar(files, "w:gz" if kind == "tgz" else "w")
    )
    if is_broken:
        content[seed % len(content)] ^= 1 + seed % 255
    try:
        members = unpack_bytes(folder, "any", bytes(content), limits=LIMITS).members
    except RunError:
        return
    for member in members:
        assert member.path.resolve().is_relative_to(folder.resolve())
        assert member.path.is_file()
        assert not member.path.is_symlink()


@pytest.mark.parametrize("kind", [kind for kind in ARCHIVES if kind not in {"tar", "tar.xz"}])
def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    noise = random.Random(1).randbytes(50_000)
    content = ARCHIVES[kind]({"a.csv": noise})
    with pytest.raises(DecompressionError):
        unpack_bytes(tmp_path, f"a.{kind}", content[: len(content) // 2])


@pytest.mark.parametrize("kind", ["xz", "zst", "7z"])
def test_a_bomb_is_refused_in_every_archive(tmp_path: Path, kind: str) -> None:
    content = ARCHIVES[kind]({"a.csv": bytes(80 * 1024 * 1024)})
    limits = Limits(max_bytes=1 << 30, max_expansion_ratio=100)
    with pytest.raises(DecompressionError, match="grows more than 100 times"):
        unpack_bytes(tmp_path, f"a.{kind}", content, limits=limits)


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_a_compressed_tar_is_one_archive_and_not_two(tmp_path: Path, kind: str) -> None:
    tar = ARCHIVES[kind]({"a.csv": CSV, "b.csv": CSV})
    unpacked = unpack_bytes(tmp_path, "outer.zip", make_zip({f"inner.tar.{kind}": tar}))
    assert [member.name for member in unpacked.members] == ["a.csv", "b.csv"]


def test_a_map_in_a_carto_file_is_left_out(tmp_path: Path) -> None:
    files = {"a/tables/t.csv": CSV, "a/visualization.carto.json": b"{}"}
    unpacked = unpack_bytes(tmp_path, "a.carto", make_zip(files))
    assert [member.name for member in unpacked.members] == ["a/tables/t.csv"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["x/roads.gdb/{}", "x/roads.gdb/gdb"], "x/roads.gdb", id="in a folder"),
        pytest.param(["{}", "timestamps"], "a.gdb", id="at the top"),
    ],
)
def test_a_file_geodatabase_is_one_member(tmp_path: Path, names: list[str], expected: str) -> None:
    parts = ["a00000001.gdbtable", "a00000001.gdbtablx", "a00000009.blk_key_index.atx"]
    files = {names[0].format(part): b"x" for part in parts} | {names[1]: b"x", "b.csv": CSV}
    unpacked = unpack_bytes(tmp_path, "a.gdb.zip", make_zip(files))
    assert [member.name for member in unpacked.members] == sorted([expected, "b.csv"])
    folder = next(member.path for member in unpacked.members if member.path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == parts
