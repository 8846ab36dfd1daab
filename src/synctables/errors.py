"""Every error this service raises on purpose, as one family.

::

    SynctablesError                    anything we say on purpose
    ├── ConfigurationError             an operator must change a setting or install something
    ├── ServerUnreachableError         the command line finds no server where it was told to look
    ├── RequestError                   an API call cannot be carried out (HTTP 4xx)
    │   ├── InvalidRequestError        400
    │   ├── UnauthenticatedError       401
    │   └── UnknownItemError           404
    ├── FencedError                    this worker was presumed dead; its run belongs to another
    └── RunError                       one run of a sync or import failed
        ├── TransientError             a later try may work
        └── TerminalError              only a person can mend it

Codes, titles and blame of `RunError` classes follow the table of error codes of the Sync Tables
API; ``title`` and ``hint`` together are what a user reads (``get_error_text`` in the API).
"""

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


class UnknownItemError(RequestError):
    """No such thing, or it is somebody else's (404)."""


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


class TerminalError(RunError):
    """Only a person can mend it: the next try comes with the interval."""

    transient = False


# --- fetch -------------------------------------------------------------------------------------


class UploadError(TerminalError):
    code = 1000
    title = "File I/O error"
    hint = "The uploaded file did not arrive whole. Upload it again."
    blame = "service"


class DownloadError(TransientError):
    """``retry_after_seconds``: how long the server asks to be left alone, where it says so."""

    code = 1001
    title = "Download error"
    hint = "The server of the file answered with an error. Open the address in a browser to see it."

    def __init__(
        self,
        message: str = "",
        *,
        http_status: int | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message, http_status=http_status)
        self.retry_after_seconds = retry_after_seconds


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


class ArcgisVersionError(TerminalError):
    code = 1013
    title = "Invalid ArcGIS version"
    hint = "Layers can be read from ArcGIS servers from version 10.1 on. Ask for an export instead."


class ArcgisQueryError(TerminalError):
    code = 1023
    title = "ArcGIS server misconfiguration"
    hint = "The layer does not allow queries. Its owner can switch on the capability Query."


# --- unpack ------------------------------------------------------------------------------------


class UnsupportedFileError(TerminalError):
    code = 1002
    title = "Unsupported/Unrecognized file type"
    hint = (
        "Supported are CSV, XLSX, GeoJSON, zipped Shapefile, GeoPackage and KML, "
        "alone or inside zip, gz or tar."
    )


class DecompressionError(TerminalError):
    code = 1003
    title = "Decompression error"
    hint = "The archive is broken or too large when unpacked. Make it anew and check that it opens."


class EmptyFileError(TerminalError):
    code = 1005
    title = "Empty file"
    hint = "The file holds nothing to make a table of."


class InvalidShapefileError(TerminalError):
    code = 1006
    title = "Invalid SHP file"
    hint = "A shapefile needs its .shp, .shx and .dbf together in one archive."


class PasswordProtectedError(TerminalError):
    code = 1018
    title = "File is password protected"
    hint = "Remove the password from the archive."


class TooManyLayersError(TerminalError):
    code = 1019
    title = "Too Many Layers"
    hint = "A file may hold 50 layers at most. Split it."


# --- read and infer ----------------------------------------------------------------------------


class LoadError(TerminalError):
    code = 2001
    title = "Unable to load data"
    hint = "The file could not be read. Check that it opens in the program that made it."


class EncodingDetectionError(TerminalError):
    code = 2002
    title = "Encoding detection error"
    hint = "The text's encoding could not be told. Save the file as UTF-8."


class MalformedCsvError(TerminalError):
    code = 2003
    title = "Malformed CSV"
    hint = "Most rows do not fit the header. Check delimiter and quotes."


class TooManyColumnsError(TerminalError):
    code = 2004
    title = "Too many columns"
    hint = "A table can have 1,600 columns at most, three of them ours. Remove some."


class EncodingError(TerminalError):
    code = 2006
    title = "Encoding error"
    hint = "Some bytes or file names are not valid text. Save the file as UTF-8."


class MalformedSpreadsheetError(TerminalError):
    code = 2008
    title = "Malformed XLS"
    hint = "The workbook cannot be opened. Save it again as .xlsx."


class InvalidGeometriesError(TerminalError):
    code = 2014
    title = "Invalid geometries"
    hint = "Some shapes cannot be repaired. Mend them in a GIS and publish the file again."


class InvalidGeoJsonError(TerminalError):
    code = 3007
    title = "JSON may not be valid GeoJSON"
    hint = "Check the file with a GeoJSON validator."


class UnknownSridError(TerminalError):
    code = 3008
    title = "Unknown SRID"
    hint = "The file does not say in which coordinate system it is. Add it (for example a .prj)."


class EmptyKmlError(TerminalError):
    code = 3202
    title = "Empty KML"
    hint = "The KML only links to another one. Use the address that it links to."


# --- gate and apply ----------------------------------------------------------------------------


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


class LayerDisappearedError(TerminalError):
    code = 1024
    title = "Layer disappeared"
    hint = "The file no longer has the layer that this sync follows. Set another with `layer`."


class TableNameError(TerminalError):
    code = 1014
    title = "Invalid name"
    hint = "No free table name was found. Give another with table_name."


class TableVanishedError(TerminalError):
    code = 2104
    title = "The table is gone"
    hint = "The table was dropped or replaced in the database. Delete this sync and create it anew."


class FileTooBigError(TerminalError):
    code = 6666
    title = "Dataset too big"
    hint = "The file or its contents are larger than this server allows."


class ReadTimeoutError(TerminalError):
    code = 6667
    title = "Import timed out"
    hint = "Reading the file took longer than this server allows."
    blame = "service"


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


def error_class(code: int | None) -> type[RunError]:
    """The class of a stored error code; `UnknownError` for None and for codes nobody knows.

    Where several classes share a code, the one that stands first in this module.
    """
    return _find_class(RunError, code) or UnknownError


def _find_class(parent: type[RunError], code: int | None) -> type[RunError] | None:
    for child in parent.__subclasses__():
        if code is not None and vars(child).get("code") == code:
            return child
        if found := _find_class(child, code):
            return found
    return None
