"""The file did not come: fetch."""

from __future__ import annotations

from synctables.errors.family import BusySourceError, TerminalError, TransientError


class DownloadError(BusySourceError):
    code = 1001
    title = "Download error"
    hint = "The server of the file answered with an error. Open the address in a browser to see it."


class DownloadRefusedError(TerminalError):
    """The same code as `DownloadError` for answers that will not change by waiting (most 4xx)."""

    code = 1001
    title = "Download error"
    hint = "The server of the file refuses this address. Open it in a browser and correct it."


class DownloadTimeoutError(TransientError):
    code = 1020
    title = "Download timeout"
    hint = "The server of the file was too slow. It is tried again soon."


class FileNotFoundAtSourceError(TerminalError):
    code = 1100
    title = "Download file not found"
    hint = "There is no file at this address any more. Check that it was not moved or deleted."


class ForbiddenSourceError(TerminalError):
    code = 1101
    title = "Forbidden file URL"
    hint = "The file needs a login. Make it public, or use an address that carries its own key."


class UnknownServerError(TransientError):
    code = 1102
    title = "Unknown server URL"
    hint = "The server's name does not resolve or does not answer. Check the address."


class BlockedAddressError(TerminalError):
    code = 1102
    title = "Unknown server URL"
    hint = (
        "The address leads into a private or reserved network. The operator can open a range "
        "with SYNCTABLES_ALLOWED_NETWORKS."
    )


class PartialFileError(TransientError):
    code = 1103
    title = "Partial file error"
    hint = "The connection broke before the whole file was here. It is tried again soon."


class TooManyNodesError(TerminalError):
    code = 1007
    title = "Too many nodes"
    hint = (
        "OpenStreetMap does not hand out an area as large as this. Zoom in, and copy that address."
    )


class ArcgisVersionError(TerminalError):
    code = 1013
    title = "Invalid ArcGIS version"
    hint = "Layers can be read from ArcGIS servers from version 10.1 on. Ask for an export instead."


class ArcgisQueryError(TerminalError):
    code = 1023
    title = "ArcGIS server misconfiguration"
    hint = "The layer does not allow queries. Its owner can switch on the capability Query."
