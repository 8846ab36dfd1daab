"""A limit of the server or of the account is in the way."""

from __future__ import annotations

from synctables.errors.family import TerminalError, TransientError


class FileTooBigError(TerminalError):
    code = 6666
    title = "Dataset too big"
    hint = "The file or its contents are larger than this server, or the account's plan, allows."


class ReadTimeoutError(TerminalError):
    code = 6667
    title = "Import timed out"
    hint = "Reading the file took longer than this server allows."
    blame = "service"


class TooManyRowsError(TerminalError):
    code = 6668
    title = "Too many table rows"
    hint = "The account's plan allows fewer rows in a table. Split the file or change the plan."


class TooManyImportsError(TransientError):
    """The account has as many imports under way as its plan allows (429)."""

    code = 6669
    title = "Too many concurrent imports"
    hint = "The account has as many imports running as its plan allows. Wait for one to end."


class StorageQuotaError(TerminalError):
    code = 8001
    title = "Over account storage limit, please upgrade"
    hint = "The table would take more than the account's storage. Remove tables or change the plan."


class TableQuotaError(TerminalError):
    code = 8002
    title = (
        "You have reached the limit of datasets for your plan. Upgrade your account to get "
        "unlimited datasets"
    )
    hint = "The account has as many tables as its plan allows. Remove some or change the plan."


class SyncsNotInPlanError(TerminalError):
    """The code of a sync that may not run, as the reference system sets it."""

    code = 1011
    title = "Error retrieving data from datasource"
    hint = "Sync tables are not part of the account's plan. The table stays as it is."
