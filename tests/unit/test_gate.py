"""The gate: a table of new versions and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctables.errors import (
    EmptyRefusedError,
    IncompatibleSchemaError,
    RefusedError,
    RowLossRefusedError,
)
from synctables.importer.gate import GatePolicy, gate, refusals
from synctables.importer.model import Column, ColumnType, TypedLayer

NAME = Column(name="name", field="name", type=ColumnType.TEXT)
SIZE = Column(name="size", field="size", type=ColumnType.BIGINT)
WIDER = Column(name="size", field="size", type=ColumnType.TEXT, reason='row 7 holds "x"')


def layer(row_count: int, *columns: Column) -> TypedLayer:
    return TypedLayer(
        name="x", path=Path("x"), columns=columns, row_count=row_count, signature_tag="x"
    )


def policy(
    *, accepts_empty: bool = False, is_frozen: bool = False, accept: tuple[str, ...] = ()
) -> GatePolicy:
    return GatePolicy(
        max_row_loss=0.9,
        accepts_empty=accepts_empty,
        is_frozen=is_frozen,
        accept=frozenset(accept),
    )


@pytest.mark.parametrize(
    ("new", "live", "rules"),
    [
        pytest.param(layer(0, NAME), None, policy(), id="an empty first import"),
        pytest.param(layer(0, NAME), 0, policy(), id="empty as before"),
        pytest.param(layer(0, NAME), 9, policy(accepts_empty=True), id="empty is accepted"),
        pytest.param(layer(0, NAME), 9, policy(accept=("empty",)), id="empty is forced"),
        pytest.param(layer(10, NAME), 100, policy(), id="exactly nine tenths gone"),
        pytest.param(layer(1, NAME), 100, policy(accept=("row_loss",)), id="row loss is forced"),
        pytest.param(layer(9, NAME, WIDER), 9, policy(), id="evolve takes a wider column"),
        pytest.param(
            layer(9, NAME, WIDER), 9, policy(is_frozen=True, accept=("schema",)), id="schema forced"
        ),
        pytest.param(layer(9, NAME, SIZE), 9, policy(is_frozen=True), id="frozen and the same"),
    ],
)
def test_lets_pass(new: TypedLayer, live: int | None, rules: GatePolicy) -> None:
    gate(new, live_row_count=live, contract=(NAME, SIZE), policy=rules)


@pytest.mark.parametrize(
    ("new", "rules", "refusal", "words"),
    [
        pytest.param(layer(0, NAME), policy(), EmptyRefusedError, "100", id="no rows any more"),
        pytest.param(
            layer(0, NAME),
            policy(accept=("row_loss",)),
            EmptyRefusedError,
            "100",
            id="forcing row loss does not force empty",
        ),
        pytest.param(layer(9, NAME), policy(), RowLossRefusedError, "90%", id="too few rows"),
        pytest.param(
            layer(99, NAME),
            policy(is_frozen=True),
            IncompatibleSchemaError,
            '"size" vanished',
            id="frozen and a column gone",
        ),
        pytest.param(
            layer(99, NAME, WIDER),
            policy(is_frozen=True),
            IncompatibleSchemaError,
            'from bigint to text .row 7 holds "x"',
            id="frozen and a value that does not fit",
        ),
    ],
)
def test_refuses(
    new: TypedLayer, rules: GatePolicy, refusal: type[RefusedError], words: str
) -> None:
    with pytest.raises(refusal, match=words):
        gate(new, live_row_count=100, contract=(NAME, SIZE), policy=rules)


def test_of_many_changes_the_first_are_told_and_the_rest_is_counted() -> None:
    columns = [Column(name=f"c{n}", field="", type=ColumnType.TEXT) for n in range(1_500)]
    with pytest.raises(IncompatibleSchemaError) as refused:
        gate(
            layer(99, NAME, SIZE, *columns),
            live_row_count=99,
            contract=(NAME, SIZE),
            policy=policy(is_frozen=True),
        )
    assert str(refused.value).endswith('column "c9" was added; and 1,490 more.')


def test_a_share_of_rows_is_taken_as_it_is_written() -> None:
    """0.29 * 100 is a little less than 29 in binary."""
    rules = GatePolicy(max_row_loss=0.29, accepts_empty=False, is_frozen=False)
    gate(layer(71, NAME), live_row_count=100, contract=(NAME,), policy=rules)
    with pytest.raises(RowLossRefusedError, match="29%"):
        gate(layer(70, NAME), live_row_count=100, contract=(NAME,), policy=rules)


def test_all_that_stands_against_a_version_is_told() -> None:
    told = refusals(
        layer(9, NAME), live_row_count=100, contract=(NAME, SIZE), policy=policy(is_frozen=True)
    )
    assert [type(refusal) for refusal in told] == [RowLossRefusedError, IncompatibleSchemaError]
