"""The rehearsal of a change of types: would everything that hangs on the table accept it?

A temporary table of the same name gets the new types, then indexes, constraints, triggers, rules,
policies and copies of the views; all of it is undone. No lock on the table or its views is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from psycopg import Error, sql

from synctables.importer.apply.columns import Statement
from synctables.importer.apply.dependents import View
from synctables.importer.apply.hindered import in_words
from synctables.importer.apply.indexes import constraint_action, index_statement
from synctables.importer.apply.model import Connection
from synctables.importer.apply.rewrite_plan import RewritePlan
from synctables.importer.apply.table_shape import column_definition

_CHANGED_COLUMNS = """
SELECT old.attname AS name
FROM pg_attribute AS old LEFT JOIN pg_attribute AS new
  ON new.attrelid = %(copy)s::regclass AND new.attnum = old.attnum
WHERE old.attrelid = %(view)s::oid AND old.attnum > 0
  AND (old.attname, old.atttypid, old.atttypmod, old.attcollation)
      IS DISTINCT FROM (new.attname, new.atttypid, new.atttypmod, new.attcollation)
ORDER BY old.attnum
"""


async def rehearse(
    connection: Connection, plan: RewritePlan, changed_types: Mapping[str, str]
) -> list[str]:
    """What would not accept the new types, as sentences. The caller rolls back."""
    stage = _Stage(connection, plan)
    if not await stage.play(_table(plan, changed_types), "The table"):
        return stage.reasons
    for check in plan.checks:
        await stage.play(sql.SQL(f"ALTER TABLE {stage.table} {check}"), "A constraint")
    for number, index in enumerate(plan.indexes):
        name, described = f"rehearsed_{number}", f"Index {index.name}"
        table = sql.SQL(stage.table)
        if not index.exclusion:
            await stage.play(index_statement(index, table, name), described)
        if action := constraint_action(index, name):
            await stage.play(sql.SQL("ALTER TABLE {} {}").format(table, action), described)
    for watcher in plan.watchers:
        await stage.play(sql.SQL(stage.renamed(watcher)), "A trigger, rule or policy")
    for number, view in enumerate(plan.dependents.views):
        await stage.play_view(view, name=f"rehearsed_view_{number}")
    return stage.reasons


class _Stage:
    """Plays one statement after the other, and notes down those that fail."""

    def __init__(self, connection: Connection, plan: RewritePlan) -> None:
        self.connection = connection
        self.relation = plan.shape.relation.relation
        self.table = f"pg_temp.{sql.Identifier(plan.shape.relation.name).as_string()}"
        # Not within a longer name: a trigger's function may be called alice.cities_changed.
        self.pattern = re.compile(rf'(?<![\w$".]){re.escape(self.relation)}(?![\w$"])')
        self.reasons: list[str] = []

    def renamed(self, text: str) -> str:
        """The text about the temporary table; a mistake here is one in a prediction only."""
        return self.pattern.sub(lambda _: self.table, text)

    async def play(self, statement: Statement, described: str) -> bool:
        try:
            async with self.connection.transaction():
                await self.connection.execute(statement)
        except Error as error:
            if error.sqlstate is None:
                raise
            self.reasons.append(f"{described} does not accept the new types: {in_words(error)}")
            return False
        return True

    async def play_view(self, view: View, *, name: str) -> None:
        described = f"View {view.relation}"
        statement = sql.SQL(f"CREATE TEMPORARY VIEW {name} AS {self.renamed(view.definition)}")
        if not await self.play(statement, described):
            return
        cursor = await self.connection.execute(
            _CHANGED_COLUMNS, {"copy": f"pg_temp.{name}", "view": view.oid}
        )
        names = ", ".join(f'"{row["name"]}"' for row in await cursor.fetchall())
        if names:
            self.reasons.append(f"{described} would get another type in {names}.")


def _table(plan: RewritePlan, changed_types: Mapping[str, str]) -> Statement:
    columns = [
        replace(
            column,
            type=changed_types.get(column.name, column.type),
            collation=None if column.name in changed_types else column.collation,
            identity="",
        )
        for column in plan.shape.columns
    ]
    return sql.SQL("CREATE TEMPORARY TABLE {} ({})").format(
        sql.Identifier(plan.shape.relation.name),
        sql.SQL(", ").join([column_definition(column) for column in columns]),
    )
