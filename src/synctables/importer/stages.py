"""The three sandboxed stages as functions from JSON to JSON, for `child`.

Importing this module imports every library that reading may need, on purpose: afterwards the
process gives up the rights that importing more would take.
"""

from __future__ import annotations

import encodings
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from synctables.datasources.base import Fetched
from synctables.importer import infer, read, unpack
from synctables.importer.model import Layers, Limits, ReadOptions, Typed, Unpacked

Progress = Callable[[dict[str, Any]], None]
Arguments = dict[str, Any]

_fetched = TypeAdapter(Fetched)
_limits = TypeAdapter(Limits)
_options = TypeAdapter(ReadOptions)
_unpacked = TypeAdapter(Unpacked)
_layers = TypeAdapter(Layers)
_typed = TypeAdapter(Typed)


def call_unpack(arguments: Arguments, progress: Progress) -> Any:
    fetched = _fetched.validate_python(arguments["fetched"])
    limits = _limits.validate_python(arguments["limits"])
    unpacked = unpack.unpack(fetched, into=Path.cwd() / "members", limits=limits)
    return _unpacked.dump_python(unpacked, mode="json")


def call_read(arguments: Arguments, progress: Progress) -> Any:
    unpacked = _unpacked.validate_python(arguments["unpacked"])
    options = _options.validate_python(arguments["options"])
    limits = _limits.validate_python(arguments["limits"])
    return _layers.dump_python(read.read(unpacked, options, limits), mode="json")


def call_infer(arguments: Arguments, progress: Progress) -> Any:
    into = Path.cwd() / "typed"
    into.mkdir(exist_ok=True)
    typed = infer.infer(
        _layers.validate_python(arguments["layers"]),
        read.open_batches,
        _options.validate_python(arguments["options"]),
        into=into,
        limits=_limits.validate_python(arguments["limits"]),
        on_rows=lambda rows: progress({"rows": rows}),
    )
    return _typed.dump_python(typed, mode="json")


def import_codecs() -> None:
    """Import every text encoding: Python loads each on first use, zipfile's cp437 among them."""
    for codec in pkgutil.iter_modules(encodings.__path__):
        if codec.name not in ("mbcs", "oem"):  # only on Windows
            importlib.import_module(f"encodings.{codec.name}")


import_codecs()

CALLS: dict[str, Callable[[Arguments, Progress], Any]] = {
    "unpack": call_unpack,
    "read": call_read,
    "infer": call_infer,
}
