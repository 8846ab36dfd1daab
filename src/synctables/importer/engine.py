"""DuckDB, which parses files and compares versions, with no way out of its folder."""

from __future__ import annotations

from pathlib import Path

import duckdb

MEMORY = "400MB"
"""What DuckDB may hold before it spills into the folder; parsing alone needs far less."""


def connect(folder: Path) -> duckdb.DuckDBPyConnection:
    """A fresh connection that can read and spill below ``folder`` only."""
    here = str(folder.resolve()).replace("'", "''")
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 2,
            "memory_limit": MEMORY,
            "temp_directory": f"{here}/duckdb",
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
        },
    )
    connection.execute(f"SET allowed_directories = ['{here}/']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
