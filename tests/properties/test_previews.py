"""A preview promises what the run does: the same counts, refusals and way, whatever changed."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest

from tests.support.file_server import FileServer
from tests.support.previewing import Client

WORDS = ("", "Oslo", "Zürich", "a,b", 'say "hi"', " x ", "1e5", "0", "-0.0", "NaN", "🚲")
EDITS = (
    "UPDATE bob.a SET c1 = c1 WHERE cartodb_id % 3 = 0",
    "UPDATE bob.a SET c0 = NULL WHERE cartodb_id % 4 = 1",
    "DELETE FROM bob.a WHERE cartodb_id % 5 = 2",
    "INSERT INTO bob.a (c0) SELECT c0 FROM bob.a WHERE cartodb_id < 4",
    "VACUUM FULL bob.a",
    "ALTER TABLE bob.a ADD COLUMN c7 text",
)
ROUNDS = 4


def _write(header: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode()


def _row(chance: random.Random, number: int, width: int) -> list[str]:
    return [str(number), *(chance.choice(WORDS) for _ in range(width - 1))]


def _change(chance: random.Random, header: list[str], rows: list[list[str]]) -> None:
    """Some rows go, come, move, stand twice or get other values; now and then columns change."""
    rows[:] = [row for row in rows if chance.random() > 0.2]
    for row in chance.sample(rows, k=len(rows) // 4):
        row[chance.randrange(len(row))] = chance.choice(WORDS)
    rows += [_row(chance, chance.randrange(1000), len(header)) for _ in range(chance.randrange(6))]
    rows += [list(row) for row in chance.sample(rows, k=min(2, len(rows)))]
    if chance.random() < 0.5:
        chance.shuffle(rows)
    if chance.random() < 0.3:
        header.append(f"c{len(header) + 5}")
        for row in rows:
            row.append(chance.choice(WORDS))


@pytest.mark.parametrize("seed", range(6))
async def test_a_run_does_what_its_preview_says(
    client: Client, file_server: FileServer, seed: int
) -> None:
    chance = random.Random(seed)
    header = ["c0", "c1", "c2"]
    rows = [_row(chance, number, len(header)) for number in range(30)]
    options: dict[str, Any] = {"type_guessing": False}
    if seed % 2:
        options |= {"key_columns": ["c0"], "schema_policy": "freeze", "max_row_loss": 0.25}
    sync = await client.add(file_server.put("/a.csv", _write(header, rows)), **options)
    for _ in range(ROUNDS):
        _change(chance, header, rows)
        await _edit(client, chance.choice([None, *EDITS]))
        file_server.put("/a.csv", _write(header, rows))
        foreseen = await client.preview(sync["id"])
        run = await client.run(sync["id"])

        codes = [refusal["code"] for refusal in foreseen["refusals"]]
        assert run.error_code == (codes[0] if codes else None), (codes, run.error_message)
        if codes:
            words = [r["accept"] for r in foreseen["refusals"]]
            again = await client.preview(sync["id"], accept=words)
            assert (again["refusals"], again["rows"]) == ([], foreseen["rows"])
            run = await client.run(sync["id"], *words)
        report: Any = run.report
        assert {"read": foreseen["row_count"], **foreseen["rows"]} == report["rows"]
        (table,) = report["tables"]
        assert table["way"] == foreseen["way"]
        assert table["hand_edits"] == foreseen["hand_edits"]
        assert table["paired_by"] == foreseen["paired_by"]


async def _edit(client: Client, statement: str | None) -> None:
    if statement is None:
        return
    async with client.desk.pool.connection() as connection:
        await connection.set_autocommit(True)
        try:
            if "ADD COLUMN" in statement:
                statement = statement.replace("ADD COLUMN", "ADD COLUMN IF NOT EXISTS")
            await connection.execute(statement.encode())
        finally:
            await connection.set_autocommit(False)
