"""What reading and typing a file costs, beside the library that could read it alone.

    .venv/bin/python benchmarks/reading.py [--rows 2000000] [--runs 5] [--only csv,geojson]
    .venv/bin/python benchmarks/reading.py --memory --gigabytes 5

Each measurement is a process of its own, with the environment that the worker gives its child; ours
and the peer take turns, and the table gives medians and their ratio. Processor seconds are those of
all threads: they tell more than the clock on a machine that does other things too.

``--memory`` sends a CSV file through the real sandbox, all three stages, and tells the most memory
that its child ever held. Files are made with a fixed seed in a temporary folder and deleted.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
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

from synctables.datasources.base import Fetched, SourceVersion
from synctables.importer.environment import scrubbed_environment
from synctables.importer.model import Limits, ReadOptions
from synctables.importer.sandbox import Sandbox, SandboxLimits
from synctables.importer.workspace import create_workspace, remove_workspace

LIMITS = Limits(max_bytes=1 << 40)
ROWS_OF_A_GIGABYTE = 10_000_000
ROWS_OF_A_BLOCK = 500_000
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


def make_large_csv(path: Path, rows: int) -> None:
    """A block of `make_csv` again and again, as Python takes long to make so many rows."""
    make_csv(path, ROWS_OF_A_BLOCK)
    header, _, lines = path.read_bytes().partition(b"\n")
    with path.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(rows // ROWS_OF_A_BLOCK):
            file.write(lines)


def make_quoted_csv(path: Path, rows: int) -> None:
    source = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        write = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow
        write(FIELDS)
        for number in range(rows):
            write(row(source, number))


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


def as_fetched(path: Path) -> Fetched:
    return Fetched(
        path=path,
        file_name=path.name,
        content_type=None,
        size_bytes=path.stat().st_size,
        version=SourceVersion(),
    )


def read_and_type(path: Path) -> int:
    """Ours: unpack, read and infer, to the typed file that apply sends."""
    from synctables.importer import infer, read, unpack

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        into = Path(folder)
        unpacked = unpack.unpack(as_fetched(path), into=into, limits=LIMITS)
        layers = read.read(unpacked, ReadOptions(), LIMITS)
        typed = infer.infer(
            layers,
            read.open_batches,
            ReadOptions(),
            into=into,
            limits=LIMITS,
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
    "csv-quoted": Case(
        file_name="quoted.csv",
        make=make_quoted_csv,
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
    began, cpu_began = time.perf_counter(), time.process_time()
    rows = read_and_type(path) if who == "ours" else CASES[kind].peer(path)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows, "peak_bytes": peak}
    print(json.dumps(found))


def in_a_process(kind: str, who: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", kind, who, str(path)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=scrubbed_environment()
    )
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
    (ours, ours_cpu), (peer, peer_cpu) = (
        [statistics.median(one[name] for one in found[who]) for name in ("seconds", "cpu_seconds")]
        for who in ("ours", "peer")
    )
    peak = max(one["peak_bytes"] for one in found["ours"]) / 1e6
    return (
        f"| {kind}, {wanted:,} rows, {path.stat().st_size / 1e6:,.0f} MB | {ours:.2f} s |"
        f" {case.peer_name} {peer:.2f} s | {ours / peer:.2f} |"
        f" {ours_cpu:.2f} s : {peer_cpu:.2f} s = {ours_cpu / peer_cpu:.2f} | {peak:,.0f} MB |"
    )


async def send_through_the_sandbox(path: Path, workspace: Path) -> tuple[int, int]:
    """Rows of the file, and the most bytes that the child held in memory at any time."""
    limits = SandboxLimits(memory_bytes=8 << 30, seconds=3_600, max_file_bytes=LIMITS.max_bytes)
    async with Sandbox.start(workspace, limits) as sandbox:
        unpacked = await sandbox.unpack(as_fetched(path), LIMITS)
        layers = await sandbox.read(unpacked, ReadOptions(), LIMITS)
        typed = await sandbox.infer(layers, ReadOptions(), LIMITS)
        return typed.layers[0].row_count, peak_of(sandbox.pid)


def peak_of(pid: int) -> int:
    """The most bytes that a process ever had in memory (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def measure_memory(gigabytes: float) -> str:
    """One line of the table of memory."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the child is another user
        workspace = create_workspace(Path(folder) / "workspaces")
        path = workspace / "cities.csv"
        blocks = max(1, round(gigabytes * ROWS_OF_A_GIGABYTE / ROWS_OF_A_BLOCK))
        wanted = blocks * ROWS_OF_A_BLOCK
        make_large_csv(path, wanted)
        size = path.stat().st_size
        began = time.perf_counter()
        rows, peak = asyncio.run(send_through_the_sandbox(path, workspace))
        seconds = time.perf_counter() - began
        remove_workspace(workspace)
    assert rows == wanted, rows
    return f"| csv, {rows:,} rows, {size / 1e9:,.2f} GB | {seconds:,.0f} s | {peak / 1e6:,.0f} MB |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--gigabytes", type=float, default=5)
    parser.add_argument("--measure", nargs=3, metavar=("KIND", "WHO", "PATH"))
    asked = parser.parse_args()
    if asked.measure:
        kind, who, path = asked.measure
        measure(kind, who, Path(path))
        return
    if asked.memory:
        print("| file | through the sandbox | peak memory of the child |\n|---|---|---|")
        print(measure_memory(asked.gigabytes))
        return
    print("| file | read and typed | peer | ratio | processor time | peak memory |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.only.split(","):
            line = compare(kind, rows=asked.rows, runs=asked.runs, folder=Path(folder))
            print(line, flush=True)


if __name__ == "__main__":
    main()
