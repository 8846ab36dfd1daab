"""The files that syncs follow: rows that change, in four formats, and what a table must hold."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import xlsxwriter

NAMES = ("Oslo", "Bergen", "Voss", "Ålesund", "Tromsø", "Røros", "Narvik", "Bodø", "", "O'Hara")
MOST_CHANGES = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    id: int
    name: str
    value: float
    lat: float
    lon: float

    @property
    def fields(self) -> dict[str, object]:
        return {"id": self.id, "name": self.name, "value": self.value}


Rows = Sequence[Row]
Key = tuple[int, str, float]
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
    """One file, version after version; the same ones for the same seed."""

    def __init__(self, number: int, *, row_count: int, seed: int) -> None:
        self.number = number
        self._random = Random(f"{seed} {number}")  # noqa: S311  # repeatable, not secret
        self._next_id = 0
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
        """A few rows changed, removed and added; never none at all."""
        self.version += 1
        for _ in range(self._random.randint(1, MOST_CHANGES)):
            place = self._random.randrange(len(self._rows))
            old = self._rows[place]
            self._rows[place] = Row(
                id=old.id,
                name=self._random.choice(NAMES),
                value=round(self._random.uniform(-1e3, 1e3), 3),
                lat=old.lat,
                lon=old.lon,
            )
        if len(self._rows) > MOST_CHANGES:
            del self._rows[self._random.randrange(len(self._rows))]
        self._rows.append(self._new_row())

    def _new_row(self) -> Row:
        self._next_id += 1
        random = self._random
        return Row(
            id=self._next_id,
            name=random.choice(NAMES),
            value=round(random.uniform(-1e3, 1e3), 3),
            lat=round(random.uniform(-80, 80), 6),
            lon=round(random.uniform(-170, 170), 6),
        )
