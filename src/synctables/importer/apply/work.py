"""What a refresh works on, and what an attempt at it may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg_pool import AsyncConnectionPool

from synctables.catalog.tables import Table
from synctables.importer.apply.columns import contract_after
from synctables.importer.apply.copying import OnRows
from synctables.importer.apply.find import Found, Seen
from synctables.importer.apply.hindered import HinderedError
from synctables.importer.apply.model import Applied, Connection, PairedBy, Pairing, Target
from synctables.importer.apply.pairing import Pairs
from synctables.importer.apply.row_sets import RowSets
from synctables.importer.model import Column, TypedLayer

Record = Callable[[Connection, tuple[Applied, ...]], Awaitable[None]]
"""Records the run's outcome in the transaction that makes it true; the fence comes last."""
HoldFence = Callable[[Connection], Awaitable[None]]
"""Called last in a transaction that commits before the run's outcome does.

Raises `FencedError` where the run belongs to another worker by now; until the transaction ends no
other takes it over.
"""

_MOST_REWRITES = 3
"""So often a new table is made for a new type, where others spoil it each time."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One layer, the table that it goes to, and what is needed on the way."""

    pool: AsyncConnectionPool[Connection]
    layer: TypedLayer
    target: Target
    live: Table
    scratch: Path
    """A folder that only this process can write to."""
    on_rows: OnRows
    record: Record
    hold_fence: HoldFence
    schema_changes: tuple[str, ...] = ()
    """In words, what the run changes in the table's columns."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The contract after this run: the layer's columns, then those that vanished."""
        return contract_after(self.layer.columns, self.target.contract)


@dataclass(frozen=True, kw_only=True)
class Means:
    """What an attempt may and must do; each failed attempt changes something here."""

    in_full: bool = False
    """Compare both versions in SQL instead of by kept signatures."""
    replaces_rows: bool = False
    """Delete and insert changed rows, so that unique values can change places between them."""
    may_rewrite: bool = True
    hindered: HinderedError | None = None
    """What hindered the rewrite that was tried last."""
    hindered_count: int = 0

    @property
    def may_try_again(self) -> bool:
        """Whether a rewrite that has to be may be tried, after those that were hindered."""
        if self.hindered is None:
            return self.may_rewrite
        return self.hindered.is_passing and self.hindered_count < _MOST_REWRITES

    def after(self, error: HinderedError) -> Means:
        """The means of the next attempt: a delta, unless there is no way but a new table."""
        count = self.hindered_count + 1
        return replace(self, may_rewrite=False, hindered=error, hindered_count=count)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an attempt has found out before it writes anything."""

    seen: Seen
    found: Found
    pairs: Pairs
    rows: RowSets
    unique_columns: tuple[str, ...]
    """Columns that tell all rows of the new version apart."""
    declared_key: tuple[str, ...] = ()
    """The columns of the declared key, where both versions have them."""

    @property
    def pairing(self) -> Pairing | None:
        """How rows that changed were known again; None where none was."""
        if not len(self.pairs.ids):
            return None
        if self.declared_key:
            return Pairing(by=PairedBy.DECLARED_KEY, columns=self.declared_key)
        if self.pairs.key is not None:
            return Pairing(by=PairedBy.DETECTED_KEY, columns=(self.pairs.key,))
        return Pairing(by=PairedBy.POSITION)

    @property
    def hand_edit_count(self) -> int | None:
        """Rows that others edited; None where a full compare healed them uncounted."""
        return self.found.hand_edit_count if self.found.is_by_signatures else None
