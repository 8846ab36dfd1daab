"""Runs in .venv-bench: one load with dlt. Credentials come in the environment.

    python dlthub_script.py FILE TABLE replace|merge KEY STATE_FOLDER

Rows go as Arrow tables, the fastest way that dlt offers for a file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow.csv


def load(path: Path, *, table: str, disposition: Any, key: str, state: Path) -> None:
    def read() -> Iterator[Any]:
        yield pyarrow.csv.read_csv(path)

    resource = dlt.resource(read, name=table, write_disposition=disposition, primary_key=key)
    pipeline = dlt.pipeline(
        pipeline_name=table,
        pipelines_dir=str(state),
        destination=dlt.destinations.postgres(),
        dataset_name="peers",
    )
    pipeline.run(resource, loader_file_format="csv").raise_on_failed_jobs()


if __name__ == "__main__":
    file, table, disposition, key, state = sys.argv[1:]
    load(Path(file), table=table, disposition=disposition, key=key, state=Path(state))
