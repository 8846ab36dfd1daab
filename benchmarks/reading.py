"""What reading and typing a file costs, beside the library that could read it alone.

    .venv/bin/python benchmarks/reading.py [--rows 2000000] [--runs 5] [--only csv,xlsx,geojson]

Each measurement is a process of its own; ours and the peer take turns, and the table gives medians
and their ratio. Files are made with a fixed seed in a temporary folder.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CITIES = ["Oslo", "Bergen", "Voss", "Molde", "Vadsø", "Åndalsnes"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file and the two ways to read it; ``share_of_rows`` of the rows asked for."""

    file_name: str
    make: Callable[[Path, int], None]
    peer: Callable[[Path], int]
    peer_name: str
    share_of_rows: float


def row(source: random.Random, number: int) -> tuple[object, ...]:
    """Ten values of the usual kinds, two of them coordinates."""
    return (
        number,
        f"{source.choice(CITIES)} {number % 5000}",
        round(source.uniform(-60, 60), 6),
        round(source.uniform(-170, 170), 6),
        number % 97,
        round(source.random(), 6),
        number * 3,
        f"2024-0{1 + number % 9}-1{number % 10}",
        bool(number % 3),
        f"a note of some length {number % 1000}",
    )


FIELDS = ("id", "name", "lat", "lon", "size", "share", "code", "day", "is_open", "note")


def make_csv(path: Path, rows: int) -> None:
    source = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(FIELDS) + "\n")
        for number in range(rows):
            file.write(",".join(map(str, row(source, number))) + "\n")


def make_xlsx(path: Path, rows: int) -> None:
    import xlsxwriter

    source = random.Random(1)
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, FIELDS)
        for number in range(rows):
            sheet.write_row(number + 1, 0, row(source, number))


def make_geojson(path: Path, rows: int) -> None:
    source = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number in range(rows):
            values = dict(zip(FIELDS, row(source, number), strict=True))
            point = {"type": "Point", "coordinates": [values["lon"], values["lat"]]}
            feature = {"type": "Feature", "properties": values, "geometry": point}
            file.write((",\n" if number else "") + json.dumps(feature))
        file.write("]}")


def read_with_duckdb(path: Path) -> int:
    import duckdb

    connection = duckdb.connect()
    connection.execute("CREATE TABLE peer AS SELECT * FROM read_csv(?)", [str(path)])
    found = connection.execute("SELECT count(*) FROM peer").fetchone()
    return int(found[0]) if found else 0


def read_with_calamine(path: Path) -> int:
    from python_calamine import CalamineWorkbook

    return len(CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()) - 1


def read_with_pyogrio(path: Path) -> int:
    import pyogrio

    return int(pyogrio.raw.read_arrow(str(path))[1].num_rows)


def read_and_type(path: Path) -> int:
    """Ours: unpack, read and infer, to the typed file that apply sends."""
    from synctables.datasources.base import Fetched, SourceVersion
    from synctables.importer import infer, read, unpack
    from synctables.importer.model import Limits, ReadOptions

    fetched = Fetched(
        path=path,
        file_name=path.name,
        content_type=None,
        size_bytes=path.stat().st_size,
        version=SourceVersion(),
    )
    limits = Limits(max_bytes=1 << 40)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        into = Path(folder)
        unpacked = unpack.unpack(fetched, into=into, limits=limits)
        layers = read.read(unpacked, ReadOptions(), limits)
        typed = infer.infer(
            layers,
            read.open_batches,
            ReadOptions(),
            into=into,
            limits=limits,
            on_rows=lambda _: None,
        )
    return typed.layers[0].row_count


CASES = {
    "csv": Case(
        file_name="cities.csv",
        make=make_csv,
        peer=read_with_duckdb,
        peer_name="duckdb read_csv",
        share_of_rows=1.0,
    ),
    "xlsx": Case(
        file_name="cities.xlsx",
        make=make_xlsx,
        peer=read_with_calamine,
        peer_name="calamine to_python",
        share_of_rows=0.1,
    ),
    "geojson": Case(
        file_name="cities.geojson",
        make=make_geojson,
        peer=read_with_pyogrio,
        peer_name="pyogrio read_arrow",
        share_of_rows=0.5,
    ),
}


def measure(kind: str, who: str, path: Path) -> None:
    """One measurement, in this process: seconds, rows and peak memory as JSON on stdout.

    Imports come before the clock starts, as they do in the warm child that reads for a worker.
    """
    for module in ("duckdb", "pyogrio.raw", "python_calamine", "synctables.importer.stages"):
        importlib.import_module(module)
    began = time.perf_counter()
    rows = read_and_type(path) if who == "ours" else CASES[kind].peer(path)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_bytes": peak}))


def in_a_process(kind: str, who: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", kind, who, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(kind: str, *, rows: int, runs: int, folder: Path) -> str:
    """One line of the table."""
    case = CASES[kind]
    path = folder / case.file_name
    wanted = int(rows * case.share_of_rows)
    case.make(path, wanted)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
    for _ in range(runs):
        for who, measured in found.items():
            measured.append(in_a_process(kind, who, path))
            assert measured[-1]["rows"] == wanted, (who, measured[-1])
    ours, peer = (
        statistics.median(one["seconds"] for one in found[who]) for who in ("ours", "peer")
    )
    peak = max(one["peak_bytes"] for one in found["ours"]) / 1e6
    return (
        f"| {kind}, {wanted:,} rows, {path.stat().st_size / 1e6:,.0f} MB | {ours:.2f} s |"
        f" {case.peer_name} {peer:.2f} s | {ours / peer:.2f} | {peak:,.0f} MB |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "WHO", "PATH"))
    asked = parser.parse_args()
    if asked.measure:
        kind, who, path = asked.measure
        measure(kind, who, Path(path))
        return
    print("| file | read and typed | peer | ratio | peak memory |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.only.split(","):
            line = compare(kind, rows=asked.rows, runs=asked.runs, folder=Path(folder))
            print(line, flush=True)


if __name__ == "__main__":
    main()
