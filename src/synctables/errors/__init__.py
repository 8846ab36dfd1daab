"""Every error this service raises on purpose, as one family.

::

    SynctablesError                    anything we say on purpose
    ├── ConfigurationError             an operator must change a setting or install something
    ├── ServerUnreachableError         the command line finds no server where it was told to look
    ├── RequestError                   an API call cannot be carried out (HTTP 4xx)
    │   ├── InvalidRequestError        400
    │   │   └── ConsentError           a cloud service gave no token for what the user brought back
    │   ├── UnauthenticatedError       401
    │   ├── NotInPlanError             401
    │   ├── PlanLimitError             403
    │   ├── TooManyCallsError          429
    │   └── UnknownItemError           404
    ├── FencedError                    this worker was presumed dead; its run belongs to another
    └── RunError                       one run of a sync or import failed
        ├── TransientError             a later try may work
        │   └── BusySourceError        the source may say when
        └── TerminalError              only a person can mend it
            └── RefusedError           the new version was judged and refused; may be overridden

The classes that are raised stand by what is in the way: `fetch`, `clouds`, `unpack`, `read`,
`apply`, `limits`, `service`; codes that nothing here leads to are described in `lookup`.

Codes, titles and blame of `RunError` classes follow the table of error codes of the Sync Tables
API; ``title`` and ``hint`` together are what a user reads (``get_error_text`` in the API).
"""

from __future__ import annotations

from synctables.errors.apply import (
    AllSkippedError,
    CannotChangeTableError,
    EmptyRefusedError,
    HtmlRefusedError,
    IncompatibleSchemaError,
    RefusedError,
    RowLossRefusedError,
    TableNameError,
    TableVanishedError,
)
from synctables.errors.clouds import (
    BoxPermissionError,
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DriveFileDeletedError,
    DriveForbiddenError,
    DropboxPermissionError,
    NotConnectedError,
)
from synctables.errors.family import (
    Blame,
    BusySourceError,
    ConfigurationError,
    ConsentError,
    FencedError,
    InvalidRequestError,
    NotInPlanError,
    PlanLimitError,
    RequestError,
    RunError,
    ServerUnreachableError,
    SynctablesError,
    TerminalError,
    TooManyCallsError,
    TransientError,
    UnauthenticatedError,
    UnknownItemError,
)
from synctables.errors.fetch import (
    ArcgisQueryError,
    ArcgisVersionError,
    BlockedAddressError,
    DownloadError,
    DownloadRefusedError,
    DownloadTimeoutError,
    FileNotFoundAtSourceError,
    ForbiddenSourceError,
    PartialFileError,
    TooManyNodesError,
    UnknownServerError,
)
from synctables.errors.limits import (
    FileTooBigError,
    ReadTimeoutError,
    StorageQuotaError,
    SyncsNotInPlanError,
    TableQuotaError,
    TooManyImportsError,
    TooManyRowsError,
)
from synctables.errors.lookup import RETIRED_CODES, RetiredCode, describe_code
from synctables.errors.read import (
    EmptyKmlError,
    EncodingDetectionError,
    EncodingError,
    InvalidGeoJsonError,
    InvalidGeometriesError,
    LoadError,
    MalformedCsvError,
    MalformedSpreadsheetError,
    TooManyColumnsError,
    UnknownSridError,
)
from synctables.errors.service import (
    DatabaseUnavailableError,
    DiskFullError,
    LockedTableError,
    ReaderEndedError,
    StuckRunError,
    UnknownError,
)
from synctables.errors.unpack import (
    DecompressionError,
    EmptyFileError,
    InvalidShapefileError,
    LayerDisappearedError,
    PasswordProtectedError,
    RasterError,
    TooManyLayersError,
    UnsupportedFileError,
)

__all__ = [
    "RETIRED_CODES",
    "AllSkippedError",
    "ArcgisQueryError",
    "ArcgisVersionError",
    "Blame",
    "BlockedAddressError",
    "BoxPermissionError",
    "BusySourceError",
    "CannotChangeTableError",
    "ConfigurationError",
    "ConsentError",
    "DatabaseUnavailableError",
    "DatasourceConfigurationError",
    "DatasourceConnectError",
    "DatasourceReadError",
    "DecompressionError",
    "DiskFullError",
    "DownloadError",
    "DownloadRefusedError",
    "DownloadTimeoutError",
    "DriveFileDeletedError",
    "DriveForbiddenError",
    "DropboxPermissionError",
    "EmptyFileError",
    "EmptyKmlError",
    "EmptyRefusedError",
    "EncodingDetectionError",
    "EncodingError",
    "FencedError",
    "FileNotFoundAtSourceError",
    "FileTooBigError",
    "ForbiddenSourceError",
    "HtmlRefusedError",
    "IncompatibleSchemaError",
    "InvalidGeoJsonError",
    "InvalidGeometriesError",
    "InvalidRequestError",
    "InvalidShapefileError",
    "LayerDisappearedError",
    "LoadError",
    "LockedTableError",
    "MalformedCsvError",
    "MalformedSpreadsheetError",
    "NotConnectedError",
    "NotInPlanError",
    "PartialFileError",
    "PasswordProtectedError",
    "PlanLimitError",
    "RasterError",
    "ReadTimeoutError",
    "ReaderEndedError",
    "RefusedError",
    "RequestError",
    "RetiredCode",
    "RowLossRefusedError",
    "RunError",
    "ServerUnreachableError",
    "StorageQuotaError",
    "StuckRunError",
    "SyncsNotInPlanError",
    "SynctablesError",
    "TableNameError",
    "TableQuotaError",
    "TableVanishedError",
    "TerminalError",
    "TooManyCallsError",
    "TooManyColumnsError",
    "TooManyImportsError",
    "TooManyLayersError",
    "TooManyNodesError",
    "TooManyRowsError",
    "TransientError",
    "UnauthenticatedError",
    "UnknownError",
    "UnknownItemError",
    "UnknownServerError",
    "UnknownSridError",
    "UnsupportedFileError",
    "describe_code",
]
