"""How a revision runs its SQL file."""

from __future__ import annotations

from importlib import resources

from alembic import op


def run(file_name: str) -> None:
    """Execute a whole file of this folder, percent signs and all."""
    statements = resources.files(__package__).joinpath(file_name).read_text("utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})
