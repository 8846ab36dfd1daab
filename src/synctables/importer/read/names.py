"""Names of layers, from names of files."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

_SUFFIX = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{0,9}$")


def stem_of(name: str) -> str:
    """The file's name without folders and without a suffix: ``a/b/Roads.v2.csv`` → ``Roads.v2``."""
    base = PurePosixPath(name).name
    return _SUFFIX.sub("", base) or base


def with_suffix(path: Path, suffix: str) -> Path:
    """The same file under a name that ends so, for readers that go by the name as well."""
    if path.suffix == suffix:
        return path
    named = path.with_name(path.name + suffix)
    if not named.exists():
        named.hardlink_to(path)
    return named
