"""Names of what belongs to a table, as PostgreSQL itself would have chosen them.

A table that is indexed before it has its name gets its indexes renamed with it. Whoever drops or
alters an index by the name that PostgreSQL's rules give it must find it (``makeObjectName`` and
``ChooseRelationName`` in PostgreSQL's ``commands/indexcmds.c``).
"""

from __future__ import annotations

from collections.abc import Container

MAX_NAME_BYTES = 63


def choose_relation_name(
    table_name: str, column_name: str | None, label: str, *, taken: Container[str]
) -> str:
    """``table_column_label``, with the first number behind it that makes it free in its schema."""
    number = 0
    while (name := _join(table_name, column_name, f"{label}{number or ''}")) in taken:
        number += 1
    return name


def _join(table_name: str, column_name: str | None, label: str) -> str:
    """The parts within 63 bytes of UTF-8: the longer of the two names is cut, byte by byte."""
    table, column = table_name.encode(), (column_name or "").encode()
    room = MAX_NAME_BYTES - len(label) - (1 if column_name is None else 2)
    table_bytes, column_bytes = len(table), len(column)
    while table_bytes + column_bytes > room:
        if table_bytes > column_bytes:
            table_bytes -= 1
        else:
            column_bytes -= 1
    parts = [_cut(table, table_bytes), _cut(column, column_bytes), label]
    return "_".join(parts if column_name is not None else [parts[0], label])


def _cut(name: bytes, size: int) -> str:
    """The first ``size`` bytes, less a character that they would cut in two."""
    return name[:size].decode(errors="ignore")
