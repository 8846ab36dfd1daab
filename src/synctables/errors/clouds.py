"""A cloud drive or an object store does not give the file."""

from __future__ import annotations

from synctables.errors.family import TerminalError, TransientError


class DriveForbiddenError(TerminalError):
    code = 1008
    title = "GDrive access forbidden"
    hint = "The Google domain forbids this app. Its administrator can allow it."


class DatasourceReadError(TerminalError):
    code = 1011
    title = "Error retrieving data from datasource"
    hint = "The file is gone or may not be read any more. Choose it again."


class DatasourceConnectError(TransientError):
    code = 1012
    title = "Error connecting to datasource"
    hint = "The service does not answer, or no longer accepts the connection. Connect it again."
    blame = "external"


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
