"""The gate stage: judge a new version that was read whole, before anything is touched. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from synctables.errors import (
    EmptyRefusedError,
    IncompatibleSchemaError,
    RefusedError,
    RowLossRefusedError,
    RunError,
    StorageQuotaError,
    TableQuotaError,
    TooManyRowsError,
)
from synctables.importer.model import Allowance, Column, LiveColumns, TypedLayer

_MOST_CHANGES_TOLD = 10


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
    live_columns: LiveColumns | None = None,
    policy: GatePolicy,
) -> None:
    """Let the layer pass, or raise the `RefusedError` that says why not.

    ``live_row_count`` is None on a first import, which may be empty.
    """
    refused = refusals(
        layer,
        live_row_count=live_row_count,
        contract=contract,
        live_columns=live_columns,
        policy=policy,
    )
    if refused:
        raise refused[0]


def refusals(
    layer: TypedLayer,
    *,
    live_row_count: int | None,
    contract: tuple[Column, ...],
    live_columns: LiveColumns | None = None,
    policy: GatePolicy,
) -> tuple[RefusedError, ...]:
    """All that stands against the layer; parameters as of `gate`."""
    if live_row_count is None:
        return ()
    checks: tuple[RefusedError | None, ...] = (
        _check_empty(layer, live_row_count, policy),
        _check_row_loss(layer, live_row_count, policy),
        _check_schema(layer, contract, live_columns, policy),
    )
    return tuple(r for r in checks if r is not None and r.override not in policy.accept)


def exceeded(
    layers: tuple[TypedLayer, ...],
    allowance: Allowance,
    *,
    makes_tables: bool,
    estimated_bytes: int | None,
) -> RunError | None:
    """What the account's plan does not allow of these layers; nobody can let it pass.

    ``estimated_bytes``: what the tables will take at least; None where nothing limits that.
    """
    for layer in layers:
        if allowance.max_rows is not None and layer.row_count > allowance.max_rows:
            return TooManyRowsError(
                f"{layer.name} has {layer.row_count:,} rows; the plan allows "
                f"{allowance.max_rows:,} in a table."
            )
    if makes_tables and allowance.table_count is not None and len(layers) > allowance.table_count:
        return TableQuotaError(
            f"The file makes {len(layers):,} tables; the plan leaves {allowance.table_count:,}."
        )
    left = allowance.storage_bytes
    if left is not None and estimated_bytes is not None and estimated_bytes > left:
        return StorageQuotaError(
            f"The file would take at least {estimated_bytes:,} bytes; the plan leaves {left:,}."
        )
    return None


def _check_empty(layer: TypedLayer, live: int, policy: GatePolicy) -> RefusedError | None:
    if layer.row_count > 0 or live == 0 or policy.accepts_empty:
        return None
    return EmptyRefusedError(f"The table has {live:,}.")


def _check_row_loss(layer: TypedLayer, live: int, policy: GatePolicy) -> RefusedError | None:
    allowed = policy.max_row_loss * live + 1e-6  # 0.29 * 100 is a little below 29
    if layer.row_count == 0 or live - layer.row_count <= allowed:
        return None
    return RowLossRefusedError(
        f"The new version has {layer.row_count:,} rows; the table has {live:,}. "
        f"At most {policy.max_row_loss * 100:g}% of the rows may disappear at once."
    )


def _check_schema(
    layer: TypedLayer,
    contract: tuple[Column, ...],
    live_columns: LiveColumns | None,
    policy: GatePolicy,
) -> RefusedError | None:
    """Under ``freeze``, compare with the last version of the file, and with the table itself.

    Columns that an accepted version no longer had stay in the contract, and count no more.
    """
    if not policy.is_frozen or not contract:
        return None
    last = contract
    if live_columns and live_columns.in_file is not None:
        last = tuple(column for column in contract if column.name in live_columns.in_file)
    changes = schema_changes(layer.columns, last)
    if live_columns:
        changes += _changes_by_others(layer.columns, last, live_columns)
    if not changes:
        return None
    more = len(changes) - _MOST_CHANGES_TOLD
    told = "; ".join(changes[:_MOST_CHANGES_TOLD]) + (f"; and {more:,} more" if more > 0 else "")
    return IncompatibleSchemaError(f"{told}.")


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


def _changes_by_others(
    columns: tuple[Column, ...], contract: tuple[Column, ...], live: LiveColumns
) -> list[str]:
    """Columns that stay in the file, and that somebody changed in the table."""
    new = {column.name for column in columns}
    return [
        f'column "{column.name}" is {live.types[column.name]} in the table, not {column.type}'
        if column.name in live.types
        else f'column "{column.name}" was dropped from the table'
        for column in contract
        if column.name in new and live.types.get(column.name) != column.type.value
    ]
