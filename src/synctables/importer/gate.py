"""The gate stage: judge a new version that was read whole, before anything is touched. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from synctables.errors import (
    EmptyRefusedError,
    IncompatibleSchemaError,
    RefusedError,
    RowLossRefusedError,
)
from synctables.importer.model import Column, TypedLayer


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """What the user lets pass: standing options and, for one forced run, ``accept``."""

    max_row_loss: float
    accepts_empty: bool
    is_frozen: bool
    accept: frozenset[str] = frozenset()


def gate(
    layer: TypedLayer,
    *,
    live_row_count: int | None,
    contract: tuple[Column, ...],
    policy: GatePolicy,
) -> None:
    """Let the layer pass, or raise the `RefusedError` that says why not.

    ``live_row_count`` is None on a first import, which may be empty.
    """
    if live_row_count is None:
        return
    checks: tuple[RefusedError | None, ...] = (
        _check_empty(layer, live_row_count, policy),
        _check_row_loss(layer, live_row_count, policy),
        _check_schema(layer, contract, policy),
    )
    for refusal in checks:
        if refusal is not None and refusal.override not in policy.accept:
            raise refusal


def _check_empty(layer: TypedLayer, live: int, policy: GatePolicy) -> RefusedError | None:
    if layer.row_count > 0 or live == 0 or policy.accepts_empty:
        return None
    return EmptyRefusedError(f"The table has {live:,}.")


def _check_row_loss(layer: TypedLayer, live: int, policy: GatePolicy) -> RefusedError | None:
    if layer.row_count == 0 or live - layer.row_count <= policy.max_row_loss * live:
        return None
    return RowLossRefusedError(
        f"The new version has {layer.row_count:,} rows; the table has {live:,}. "
        f"At most {policy.max_row_loss:.0%} of the rows may disappear at once."
    )


def _check_schema(
    layer: TypedLayer, contract: tuple[Column, ...], policy: GatePolicy
) -> RefusedError | None:
    if not policy.is_frozen or not contract:
        return None
    changes = schema_changes(layer.columns, contract)
    if not changes:
        return None
    return IncompatibleSchemaError("; ".join(changes) + ".")


def schema_changes(columns: tuple[Column, ...], contract: tuple[Column, ...]) -> list[str]:
    """What differs between the new version's columns and the contract, in words."""
    new = {column.name: column for column in columns}
    old = {column.name: column for column in contract}
    vanished = [f'column "{name}" vanished' for name in old if name not in new]
    added = [f'column "{name}" was added' for name in new if name not in old]
    changed = [
        f'column "{name}" changed from {old[name].type} to {column.type}'
        + (f" ({column.reason})" if column.reason else "")
        for name, column in new.items()
        if name in old and old[name].type is not column.type
    ]
    return vanished + added + changed
