"""The new version is refused or does not go into the table: gate and apply."""

from __future__ import annotations

from typing import ClassVar

from synctables.errors.family import TerminalError


class RefusedError(TerminalError):
    """The new version was read, judged and refused; the table is as it was.

    Subclasses name the ``override`` word that ``PUT …/sync_now {"accept": [...]}`` takes.
    """

    override: ClassVar[str]


class RowLossRefusedError(RefusedError):
    code = 2101
    title = "Too many rows disappeared"
    hint = (
        "The new version holds far fewer rows than the table. If that is right, raise max_row_loss "
        'or force one run with {"accept": ["row_loss"]}.'
    )
    override = "row_loss"


class EmptyRefusedError(RefusedError):
    code = 2102
    title = "The new version has no rows"
    hint = 'If that is right, set on_empty to "accept" or force one run with {"accept": ["empty"]}.'
    override = "empty"


class HtmlRefusedError(RefusedError):
    code = 2103
    title = "A web page instead of data"
    hint = (
        "The address answers with an HTML or XML page, often a login or error page. Use the "
        "address of the file itself."
    )
    override = "html"


class IncompatibleSchemaError(RefusedError):
    code = 2012
    title = "Incompatible schemas"
    hint = (
        'The columns changed and schema_policy is "freeze". Set it to "evolve" or force one run '
        'with {"accept": ["schema"]}.'
    )
    override = "schema"


class CannotChangeTableError(TerminalError):
    code = 2013
    title = "Cannot overwrite table"
    hint = "Something that depends on the table is in the way; the message names it."


class TableNameError(TerminalError):
    code = 1014
    title = "Invalid name"
    hint = "No free table name was found. Give another with table_name."


class TableVanishedError(TerminalError):
    code = 2104
    title = "The table is gone"
    hint = "The table was dropped or replaced in the database. Delete this sync and create it anew."


class AllSkippedError(TerminalError):
    code = 1022
    title = "All tables were skipped"
    hint = "Tables of these names are there already. Choose another way to treat collisions."
