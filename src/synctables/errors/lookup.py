"""From a stored code to what is said of it, also for codes that nothing raises."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from synctables.errors.family import Blame, RunError
from synctables.errors.service import UnknownError


class CodeText(Protocol):
    """What is said of any failure with one code."""

    @property
    def code(self) -> int: ...
    @property
    def title(self) -> str: ...
    @property
    def hint(self) -> str: ...
    @property
    def blame(self) -> Blame: ...
    @property
    def transient(self) -> bool: ...


class RetiredCode(NamedTuple):
    """A code of the reference's table that this service never sets; ``hint`` says why."""

    code: int
    title: str
    hint: str
    blame: Blame = "user"
    transient: bool = False


_NO_CONNECTORS = "There are no connectors to databases."
_NO_MAPS = "There are no maps."
_NO_SQL = "Tables are not imported from queries."

_RETIRED = (
    RetiredCode(1, "Install error", "What is missing is told when the server starts.", "service"),
    RetiredCode(1000, "File I/O error", "A broken upload is told at once, with 400.", "service"),
    RetiredCode(1004, "XLS/XLSX Error", "A workbook that cannot be opened is 2008."),
    RetiredCode(1009, "Twitter Server Error", "There is no Twitter search.", "external"),
    RetiredCode(1010, "Not a file", "Only files are ever unpacked."),
    RetiredCode(1015, "No results", _NO_CONNECTORS),
    RetiredCode(1500, "Connector error", _NO_CONNECTORS),
    RetiredCode(1501, "Connectors disabled", _NO_CONNECTORS),
    RetiredCode(1502, "Connector invalid parameters", _NO_CONNECTORS),
    RetiredCode(2005, "Duplicated column", "Equal headers get names of their own."),
    RetiredCode(2007, "Encoding error", "Text that cannot be decoded is 2002, before any row."),
    RetiredCode(2009, "KML without style Id", "Styles are not read."),
    RetiredCode(2010, "Incompatible CARTO table", "Every table is made by this service."),
    RetiredCode(2011, "Invalid cartodb_id column", "The file's own is kept beside ours."),
    RetiredCode(3009, "SHP Normalization error", "An unusable shapefile is 1006, 2002 or 3008."),
    RetiredCode(3101, "Missing projection (.prj) file", "Without it only degrees are taken: 3008."),
    RetiredCode(3201, "Geometry Collection not supported", "Collections are kept as they are."),
    RetiredCode(6670, "Too many named map templates", _NO_MAPS),
    RetiredCode(8003, "Error creating table from SQL query", _NO_SQL),
    RetiredCode(8004, "Merge with unmatching column types", _NO_SQL),
    RetiredCode(8005, "Max layers per map reached", _NO_MAPS),
    RetiredCode(8006, "Not enough Twitter credits", "There is no Twitter search."),
    RetiredCode(8007, "Over account maps limit, please upgrade", _NO_MAPS),
    RetiredCode(
        8008, "Over account datasets limit or publication is disabled in your account",
        "Nothing is published.",
    ),
    RetiredCode(9999, "No code", "Every failure has a code; an unforeseen one is 99999."),
)  # fmt: skip
RETIRED_CODES = {retired.code: retired for retired in _RETIRED}
"""Codes that the reference system sets and this one cannot (`docs/reference/errors.md`)."""


def describe_code(code: int | None) -> CodeText:
    """The class of a stored error code, or what stands in `RETIRED_CODES` for it.

    `UnknownError` for None and for codes that nobody knows. Where several classes share a code,
    the one that was defined first.
    """
    if code in RETIRED_CODES:
        return RETIRED_CODES[code]
    return _find_class(RunError, code) or UnknownError


def _find_class(parent: type[RunError], code: int | None) -> type[RunError] | None:
    for child in parent.__subclasses__():
        if code is not None and vars(child).get("code") == code:
            return child
        if found := _find_class(child, code):
            return found
    return None
