"""Any archive unpacks inside its workspace and limits, or raises one named error."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import libarchive
from hypothesis import given
from hypothesis import strategies as st
from libarchive.exception import ArchiveError

from synctables.errors import RunError
from synctables.importer.model import Limits, Unpacked
from tests.support.reading import unpack_bytes

KINDS = [
    ("zip", None), ("7zip", None), ("ustar", None), ("pax", "gzip"), ("gnutar", "bzip2"),
    ("ustar", "xz"), ("pax", "zstd"), ("cpio", None),
]  # fmt: skip
EVIL_NAMES = [
    *("../out.csv", "/etc/passwd", "a/../../b.csv", "..", ".", "./a.csv", "C:\\x.csv", "..\\b.csv"),
    *("x" * 300 + ".csv", "a\x1bb.csv", "-rf", "CON", "a.csv/", "__MACOSX/._a.csv", "a.zip"),
]
GOOD_NAMES = st.sampled_from(["a.csv", "b.csv", "A.CSV", "x/a.csv", "roads.shp", "数据.csv"])
NAMES = (
    GOOD_NAMES
    | GOOD_NAMES
    | GOOD_NAMES
    | st.sampled_from(EVIL_NAMES)
    | st.text(st.sampled_from("aB9 ._-/\\é\u202e数:*?'\"~$"), min_size=1, max_size=30)
)
CONTENTS = st.binary(max_size=60) | st.sampled_from([b"a,b\n1,2\n", b"\0" * 30_000])


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """An archive of any kind, perhaps inside another, perhaps with bytes changed or cut off."""
    content = _make(draw)
    if draw(st.booleans()):
        content = _make(draw, inner=content)
    damaged = bytearray(content)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        damaged[draw(st.integers(0, len(damaged) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.sampled_from([0, 0, 0, 1, 30, 500]))
    return bytes(damaged[: max(1, len(damaged) - cut)])


def _make(draw: st.DrawFn, inner: bytes | None = None) -> bytes:
    files = draw(st.lists(st.tuples(NAMES, CONTENTS), max_size=5))
    if inner is not None:
        files.append((draw(NAMES), inner))
    kind, compression = draw(st.sampled_from(KINDS))
    made = io.BytesIO()
    with libarchive.custom_writer(made.write, kind, compression) as archive:
        for name, content in files:
            with suppress(ArchiveError):  # a name that this kind cannot hold
                archive.add_file_from_memory(name, len(content), content)
    return made.getvalue()


LIMITS = st.builds(
    Limits,
    max_bytes=st.integers(1, 10_000) | st.just(1_000_000),
    max_members=st.sampled_from([1, 5, 100]),
    max_expansion_ratio=st.sampled_from([1, 1000, 1000]),
)


@given(archives(), st.sampled_from(["a", "a.zip", "a.tar.gz", "a.7z", "b.csv"]), LIMITS)
def test_any_archive_unpacks_inside_its_workspace_and_limits_or_raises_one_named_error(
    content: bytes, name: str, limits: Limits
) -> None:
    with tempfile.TemporaryDirectory() as outside:
        folder = Path(outside, "inside")
        folder.mkdir()
        try:
            unpacked = unpack_bytes(folder, name, content, limits=limits)
        except RunError as error:
            assert error.code  # noqa: PT017 - either way is right
        else:
            _check_members(unpacked, folder, limits, was_archive=bool(unpacked.decisions))
        assert list(Path(outside).iterdir()) == [folder]
        assert not [path for path in _files(folder) if path.is_symlink()]
        written = sum(path.stat().st_size for path in _files(folder)) - len(content)
        assert written <= limits.max_bytes + 2 * len(content) + 65_536


def _check_members(unpacked: Unpacked, folder: Path, limits: Limits, *, was_archive: bool) -> None:
    assert unpacked.members
    for member in unpacked.members:
        assert member.path.is_file()
        assert member.path.resolve().is_relative_to(folder.resolve())
        assert member.path.stat().st_size == member.size_bytes
        assert not member.name.startswith("/")
        assert ".." not in member.name.split("/")
    if was_archive:
        assert len(unpacked.members) <= limits.max_members
        assert sum(member.size_bytes for member in unpacked.members) <= limits.max_bytes


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())
