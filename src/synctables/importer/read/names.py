"""Names of layers, from names of files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_SUFFIX = re.compile(r"(?<=.)\.[A-Za-z][A-Za-z0-9]{0,9}$")


def stem_of(name: str) -> str:
    """The file's name without folders and without a suffix: ``a/b/Roads.v2.csv`` → ``Roads.v2``."""
    base = PurePosixPath(name).name
    return _SUFFIX.sub("", base) or base
