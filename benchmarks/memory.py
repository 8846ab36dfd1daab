"""The memory that unpack, read and infer take for a large file.

    .venv/bin/python benchmarks/memory.py [--only geojson,xlsx] [--megabytes 1000]

Each measurement is a process of its own, as the child of a worker is; the figure is its largest
resident set, the libraries with it (an idle one is told for comparison). Files have the rows of
`reading.py`, made with its fixed seed in a temporary folder, of about 1 GB (GeoJSON) and 50 MB
(XLSX) unless told otherwise.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import reading

ROWS_PER_MEGABYTE = {"geojson": 3_275, "xlsx": 14_010}
MEGABYTES = {"geojson": 1_000, "xlsx": 50}


def measure(kind: str, megabytes: int, folder: Path) -> str:
    """One line of the table."""
    case = reading.CASES[kind]
    path = folder / case.file_name
    rows = ROWS_PER_MEGABYTE[kind] * megabytes
    case.make(path, rows)
    found = reading.in_a_process(kind, "ours", path)
    if found["rows"] != rows:
        raise SystemExit(f"{found['rows']} of {rows} rows were read")
    size = path.stat().st_size / 1e6
    path.unlink()
    return (
        f"| {kind}, {rows:,} rows, {size:,.0f} MB | {found['peak_bytes'] / 1e6:,.0f} MB |"
        f" {found['seconds']:.1f} s |"
    )


def idle_bytes() -> int:
    """The resident set of a process that has imported everything and read nothing."""
    program = (
        "import json, resource, synctables.importer.stages;"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return int(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(MEGABYTES))
    parser.add_argument("--megabytes", type=int)
    asked = parser.parse_args()
    print("| file | peak memory | time |\n|---|---|---|")
    print(f"| none | {idle_bytes() / 1e6:,.0f} MB | |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.only.split(","):
            print(measure(kind, asked.megabytes or MEGABYTES[kind], Path(folder)), flush=True)


if __name__ == "__main__":
    main()
