"""This service, its database or its machine is in the way."""

from __future__ import annotations

from synctables.errors.family import TransientError


class StuckRunError(TransientError):
    code = 6671
    title = "Stuck import job"
    hint = "The worker ended several times while this file was processed. Tell the operator."
    blame = "service"


class DatabaseUnavailableError(TransientError):
    code = 6672
    title = "Database not available"
    hint = "The database could not be reached or was restarted. It is tried again soon."
    blame = "service"


class LockedTableError(TransientError):
    code = 6673
    title = "The table is locked"
    hint = "Another session holds a lock on the table. It is tried again soon."
    blame = "external"


class DiskFullError(TransientError):
    code = 6674
    title = "Disk full"
    hint = "This server has no space left. Tell the operator."
    blame = "service"


class ReaderEndedError(TransientError):
    code = 6675
    title = "Reader ended"
    hint = "The process that read the file was ended from outside. It is tried again soon."
    blame = "service"


class UnknownError(TransientError):
    code = 99999
    title = "Unknown"
    hint = "Something unforeseen happened. The log of the run holds the details; tell the operator."
    blame = "service"
