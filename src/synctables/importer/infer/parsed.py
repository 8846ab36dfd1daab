"""A chunk of text read as one kind of value."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from synctables.importer.infer.types import Need


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What the values of a chunk need, and the values themselves as Arrow reads them.

    ``array`` is as long as the chunk, NULL where the text was blank. For moments in a form that
    is not settled it is still text.
    """

    need: Need
    array: pa.Array


def all_match(mask: pa.BooleanArray) -> bool:
    """Whether the mask is true wherever it is not NULL."""
    return pc.all(mask).as_py() is not False


def any_true(mask: pa.BooleanArray) -> bool:
    """Whether the mask is true anywhere."""
    return pc.any(mask).as_py() is True
