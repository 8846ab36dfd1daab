"""The files that syncs follow: rows that change, in four formats, and what a table must hold."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import xlsxwriter

NAMES = ("Oslo", "Bergen", "Voss", "Ålesund", "Tromsø", "Røros", "Narvik", "Bodø", "", "O'Hara")
MOST_CHANGES = 5
EVERY_ROW_SHARE = 0.3
OTHER_TYPE_SHARE = 0.2
"""Of the changes of a restless file: another value in every row, and one that is no number any
more. This happens once a file, since a column of text stays one."""


Value = float | str


@dataclass(frozen=True, kw_only=True)
class Row:
    id: int
    name: str
    value: Value
    lat: float
    lon: float

    @property
    def fields(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "value": self.value}


Rows = Sequence[Row]
Key = tuple[int, str, Value]
"""Enough of a row to know it again in a table: id, name and value."""


def write_csv(rows: Rows) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["id", "name", "value", "lat", "lon"])
    writer.writerows([row.id, row.name, row.value, row.lat, row.lon] for row in rows)
    return text.getvalue().encode()


def write_geojson(rows: Rows) -> bytes:
    features = [
        {
            "type": "Feature",
            "properties": row.fields,
            "geometry": {"type": "Point", "coordinates": [row.lon, row.lat]},
        }
        for row in rows
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def write_ndjson(rows: Rows) -> bytes:
    lines = [{**row.fields, "lat": row.lat, "lon": row.lon} for row in rows]
    return "".join(f"{json.dumps(line)}\n" for line in lines).encode()


def write_xlsx(rows: Rows) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet("stations")
        sheet.write_row(0, 0, ["id", "name", "value", "lat", "lon"])
        for line, row in enumerate(rows, start=1):
            sheet.write_row(line, 0, [row.id, row.name, row.value, row.lat, row.lon])
    return content.getvalue()


WRITERS: Mapping[str, tuple[str, Callable[[Rows], bytes]]] = {
    "csv": ("text/csv", write_csv),
    "geojson": ("application/geo+json", write_geojson),
    "ndjson": ("application/x-ndjson", write_ndjson),
    "xlsx": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        write_xlsx,
    ),
}


class SoakFile:
    """One file, version after version; the same ones for the same seed.

    A restless one has versions that change every row, and one that changes a column's type.
    """

    def __init__(
        self, number: int, *, row_count: int, seed: int, is_restless: bool = False
    ) -> None:
        self.number = number
        self._random = Random(f"{seed} {number}")  # noqa: S311  # repeatable, not secret
        self._next_id = 0
        self._is_restless = is_restless
        self._has_units = False
        self.full_change_count = 0
        self.type_change_count = 0
        kinds = list(WRITERS)
        self.kind = "csv" if row_count > 1_000 else kinds[number % len(kinds)]
        self.name = f"stations_{number}.{self.kind}"
        self._rows = [self._new_row() for _ in range(row_count)]
        self.version = 1

    @property
    def content(self) -> bytes:
        return WRITERS[self.kind][1](self._rows)

    @property
    def content_type(self) -> str:
        return WRITERS[self.kind][0]

    @property
    def keys(self) -> list[Key]:
        """What the table must hold, sorted."""
        return sorted((row.id, row.name, row.value) for row in self._rows)

    def change(self) -> None:
        """A few rows changed, removed and added; never none at all. More in a restless file."""
        self.version += 1
        if self._is_restless:
            self._change_much()
        for _ in range(self._random.randint(1, MOST_CHANGES)):
            place = self._random.randrange(len(self._rows))
            old = self._rows[place]
            name = self._random.choice(NAMES)
            self._rows[place] = replace(old, name=name, value=self._new_value())
        if len(self._rows) > MOST_CHANGES:
            del self._rows[self._random.randrange(len(self._rows))]
        self._rows.append(self._new_row())

    def change_every_row(self) -> None:
        """Another value in each row, of the same type."""
        self.version += 1
        self.full_change_count += 1
        self._rewrite()

    def _change_much(self) -> None:
        dice = self._random.random()
        if dice >= EVERY_ROW_SHARE + OTHER_TYPE_SHARE:
            return
        if dice < OTHER_TYPE_SHARE and not self._has_units:
            self._has_units = True
            self.type_change_count += 1
        else:
            self.full_change_count += 1
        self._rewrite()

    def _rewrite(self) -> None:
        self._rows = [replace(row, value=self._new_value()) for row in self._rows]

    def _new_value(self) -> Value:
        number = round(self._random.uniform(-1e3, 1e3), 3)
        return f"{number} m" if self._has_units else number

    def _new_row(self) -> Row:
        self._next_id += 1
        random = self._random
        return Row(
            id=self._next_id,
            name=random.choice(NAMES),
            value=self._new_value(),
            lat=round(random.uniform(-80, 80), 6),
            lon=round(random.uniform(-170, 170), 6),
        )
