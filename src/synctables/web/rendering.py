"""Templates and the addresses of assets."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

STATIC_DIR = Path(__file__).parent / "static"
"""Where ``npm run build`` writes."""


def render(template: str, **values: Any) -> str:
    """The template with its values; every value is escaped."""
    return _environment().get_template(template).render(values)


def asset(name: str) -> str:
    """The address of a built asset. It changes with the content, so browsers may keep the file."""
    path = STATIC_DIR / name
    try:
        changed_at = path.stat().st_mtime_ns
    except FileNotFoundError:  # not built: the page works without, only plain and standing still
        return f"/static/{name}"
    return f"/static/{name}?v={_fingerprint(path, changed_at)}"


@cache
def _fingerprint(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synctables.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = asset
    environment.filters["utc"] = _format_utc
    environment.filters["iso"] = lambda at: at.astimezone(UTC).isoformat(timespec="seconds")
    return environment


def _format_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
