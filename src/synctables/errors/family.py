"""The roots of the family: what kinds of errors there are."""

from __future__ import annotations

from typing import ClassVar, Literal

Blame = Literal["user", "service", "external"]


class SynctablesError(Exception):
    """Anything this service says on purpose. ``str(error)`` is a sentence for the user."""


class ConfigurationError(SynctablesError):
    """An operator must change a setting or install something; the message says what."""


class ServerUnreachableError(SynctablesError):
    """The command line finds no server where it was told to look."""


class RequestError(SynctablesError):
    """An API call cannot be carried out; nothing was changed."""


class InvalidRequestError(RequestError):
    """The call is wrong (400)."""


class UnauthenticatedError(RequestError):
    """No valid key for the addressed account (401)."""


class NotInPlanError(RequestError):
    """What is asked for is no part of the account's plan (401)."""


class PlanLimitError(RequestError):
    """The account has as many of these as its plan allows (403)."""


class TooManyCallsError(RequestError):
    """The account calls more often than the server allows (429)."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnknownItemError(RequestError):
    """No such thing, or it is somebody else's (404)."""


class ConsentError(InvalidRequestError):
    """A cloud service did not give a token for what the user brought back from it (400)."""


class FencedError(SynctablesError):
    """The run's fencing token is no longer current: another worker owns the run now."""


class RunError(SynctablesError):
    """One run failed. Subclasses fix ``code``, ``title``, ``hint`` and ``blame``.

    The message is the particular of this case (which file, row, status); the hint is what the
    user can do about any case of this class.
    """

    code: ClassVar[int]
    title: ClassVar[str]
    hint: ClassVar[str]
    blame: ClassVar[Blame] = "user"
    transient: ClassVar[bool]

    def __init__(self, message: str = "", *, http_status: int | None = None) -> None:
        super().__init__(message or self.title)
        self.http_status = http_status


class TransientError(RunError):
    """A later try may work: run again soon, backing off."""

    transient = True


class BusySourceError(TransientError):
    """``retry_after_seconds``: how long the source asks to be left alone, where it says so."""

    def __init__(
        self,
        message: str = "",
        *,
        http_status: int | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message, http_status=http_status)
        self.retry_after_seconds = retry_after_seconds


class TerminalError(RunError):
    """Only a person can mend it: the next try comes with the interval."""

    transient = False
