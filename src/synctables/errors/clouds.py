"""A cloud drive or an object store does not give the file."""

from __future__ import annotations

from synctables.errors.family import BusySourceError, TerminalError


class DriveForbiddenError(TerminalError):
    code = 1008
    title = "GDrive access forbidden"
    hint = "The rules of the organisation forbid this app. Its administrator can allow it."


class DatasourceReadError(TerminalError):
    code = 1011
    title = "Error retrieving data from datasource"
    hint = "The file is gone or may not be read any more. Choose it again."


class DatasourceConnectError(BusySourceError):
    code = 1012
    title = "Error connecting to datasource"
    hint = "The service does not answer, or asks for fewer requests. It is tried again soon."
    blame = "external"


class NotConnectedError(TerminalError):
    """The account has no token for the service, or the service takes it no more."""

    code = 1012
    title = "Error connecting to datasource"
    hint = "Connect the service in your account; the next run goes on."


class DatasourceConfigurationError(TerminalError):
    """The operator did not set the service up, or set it up wrongly."""

    code = 1012
    title = "Error connecting to datasource"
    hint = "The operator of this server has to set up the service."
    blame = "service"


class DropboxPermissionError(TerminalError):
    code = 1016
    title = "Dropbox permission revoked"
    hint = "The permission to read was withdrawn in Dropbox. Connect Dropbox again."


class DriveFileDeletedError(TerminalError):
    code = 1017
    title = "GDrive file was deleted"
    hint = "The file was deleted in the drive. Restore it there, or choose another."


class BoxPermissionError(TerminalError):
    code = 1021
    title = "Box permission revoked"
    hint = "The permission to read was withdrawn in Box. Connect Box again."
