"""Which source a call names, checked as far as that is possible before a run looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.datasources.drives.known import find_drive
from synctables.errors import ConfigurationError, InvalidRequestError

if TYPE_CHECKING:
    from synctables.api.calls import Call
    from synctables.api.parameters import SourceParameters
    from synctables.datasources.source import Source


async def find_source(call: Call, parameters: SourceParameters) -> Source:
    """The source of a creation, an import or a preview.

    Raises `InvalidRequestError` where there is no such service, the operator has not set it up, or
    the account is not connected to it.
    """
    source = parameters.require_source()
    if source.service_name is None:
        return source
    drive = find_drive(source.service_name)
    try:
        is_ready = await call.services.drives.may_read(drive.name, account_id=call.account.id)
    except ConfigurationError as error:
        raise InvalidRequestError(str(error)) from error
    if not is_ready:
        raise InvalidRequestError(
            f"No oauth set for service {drive.name}. Connect {drive.title} first: "
            f"GET /api/v1/imports/service/{drive.name}/auth_url"
        )
    return source
