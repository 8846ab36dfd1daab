"""What a run, or a preview of one, is to do: from the options and the state of the sync."""

from __future__ import annotations

from synctables.accounts.model import Account
from synctables.catalog.tables import find_table
from synctables.errors import TableVanishedError
from synctables.importer.apply.live_columns import read_live_columns
from synctables.importer.gate import GatePolicy
from synctables.importer.model import ReadOptions
from synctables.importer.pipeline import Order
from synctables.syncs.model import Accept, OnEmpty, SchemaPolicy, Sync, SyncOptions
from synctables.syncs.quotas import find_allowance
from synctables.syncs.repository import Connection


async def make_order(
    connection: Connection,
    *,
    account: Account,
    sync: Sync | None,
    options: SyncOptions,
    accept: tuple[Accept, ...],
    every_layer: bool,
) -> Order:
    """What is to be done with the table as it is now. Raises `TableVanishedError`."""
    contract = sync.contract if sync else ()
    live = await find_table(connection, sync.table_id) if sync and sync.table_id else None
    if sync is not None and sync.table_id is not None and live is None:
        raise TableVanishedError(f'The table "{sync.name}" no longer exists.')
    columns = await read_live_columns(connection, live, contract) if live else None
    return Order(
        account_id=account.id,
        schema_name=account.schema_name,
        table_name=options.table_name,
        live=live,
        live_columns=columns,
        contract=contract,
        key_columns=options.key_columns,
        options=ReadOptions(
            type_guessing=options.type_guessing,
            quoted_fields_guessing=options.quoted_fields_guessing,
            layer=options.layer,
            preferred_layer=sync.followed_layer if sync else None,
            every_layer=every_layer,
            column_types=options.column_types,
            contract=contract,
            taken_names=tuple(sorted(columns.others)) if columns else (),
            accept_html=Accept.HTML in accept,
        ),
        policy=GatePolicy(
            max_row_loss=options.max_row_loss,
            accepts_empty=options.on_empty is OnEmpty.ACCEPT,
            is_frozen=options.schema_policy is SchemaPolicy.FREEZE,
            accept=frozenset(accept),
        ),
        allowance=await find_allowance(
            connection, account, table_id=live.id if live is not None else None
        ),
    )
