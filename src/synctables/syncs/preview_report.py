"""What a preview found, as the JSON that is kept and answered; long texts are cut."""

from __future__ import annotations

from typing import Any

from synctables.errors import RefusedError, RunError
from synctables.importer.apply.examples import Change, Values
from synctables.importer.apply.foresee import Foreseen
from synctables.importer.model import Misfit, TypedLayer
from synctables.importer.preview import Previewed

_LONGEST_NAME = 200
_LONGEST_TEXT = 2_000
_MOST_ENTRIES = 2_000
"""Of decisions or misfits; a file with as many columns as possible has no more of them."""


def describe_preview(found: Previewed) -> dict[str, Any]:
    """The result by the keys of the API's ``PreviewResult``."""
    version = found.fetched.version
    return {
        "is_modified": found.is_modified,
        "file_name": _cut(found.fetched.file_name, _LONGEST_NAME),
        "bytes": found.fetched.size_bytes,
        "seconds": round(sum(found.stage_seconds.values()), 3),
        "stage_seconds": {stage.value: taken for stage, taken in found.stage_seconds.items()},
        "etag": version.etag,
        "last_modified": version.last_modified,
        "content_sha256": version.content_sha256,
        "table_name": found.table_name,
        "refusals": [describe_refusal(error) for error in found.refusals],
        **(_describe_layer(found.source.typed.layers[0]) if found.source else {}),
        **(_describe_foreseen(found.foreseen) if found.foreseen else {}),
    }


def describe_refusal(error: RunError) -> dict[str, Any]:
    """A refusal: its code, what it says, and the word that overrides it, where one does."""
    return {
        "code": error.code,
        "title": error.title,
        "text": _cut(str(error), _LONGEST_TEXT),
        "hint": error.hint,
        "accept": error.override if isinstance(error, RefusedError) else None,
    }


def _describe_layer(layer: TypedLayer) -> dict[str, Any]:
    return {
        "layer": _cut(layer.name, _LONGEST_NAME),
        "row_count": layer.row_count,
        "geometry_types": list(layer.geometry_types),
        "columns": [
            {
                "name": column.name,
                "field": _cut(column.field, _LONGEST_NAME),
                "type": column.type.value,
                "reason": _cut(column.reason, _LONGEST_TEXT),
            }
            for column in layer.columns
        ],
        "decisions": [
            {
                "subject": _cut(decision.subject, _LONGEST_NAME),
                "choice": _cut(decision.choice, _LONGEST_NAME),
                "reason": _cut(decision.reason, _LONGEST_TEXT),
            }
            for decision in layer.decisions[:_MOST_ENTRIES]
        ],
        "misfits": [_describe_misfit(misfit) for misfit in layer.misfits[:_MOST_ENTRIES]],
    }


def _describe_misfit(misfit: Misfit) -> dict[str, Any]:
    return {
        "column": _cut(misfit.column, _LONGEST_NAME),
        "count": misfit.count,
        "reason": _cut(misfit.reason, _LONGEST_NAME),
        "examples": [
            {"row": row, "text": _cut(text, _LONGEST_NAME)} for row, text in misfit.examples
        ],
    }


def _describe_foreseen(foreseen: Foreseen) -> dict[str, Any]:
    rows, examples, pairing = foreseen.rows, foreseen.examples, foreseen.pairing
    return {
        "way": foreseen.way.value if foreseen.way else None,
        "rows": {
            "inserted": rows.inserted,
            "updated": rows.updated,
            "deleted": rows.deleted,
            "unchanged": rows.unchanged,
        },
        "schema_changes": [_cut(change, _LONGEST_TEXT) for change in foreseen.schema_changes],
        "hand_edits": foreseen.hand_edit_count,
        "paired_by": None
        if pairing is None
        else {"by": pairing.by.value, "columns": list(pairing.columns)},
        "first_rows": _file_rows(foreseen.first_rows),
        "examples": {
            "inserted": _file_rows(examples.inserted),
            "updated": [_describe_change(change) for change in examples.updated],
            "deleted": [{"id": key, "values": row} for key, row in examples.deleted.items()],
            "unchanged": _file_rows(examples.unchanged),
        },
    }


def _file_rows(rows: dict[int, Values]) -> list[dict[str, Any]]:
    return [{"row": number, "values": values} for number, values in rows.items()]


def _describe_change(change: Change) -> dict[str, Any]:
    return {
        "id": change.id,
        "changes": {name: {"old": old, "new": new} for name, (old, new) in change.columns.items()},
    }


def _cut(text: str, longest: int) -> str:
    """The text, as PostgreSQL can keep it in JSON, and not too long."""
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= longest else text[: longest - 1] + "…"
