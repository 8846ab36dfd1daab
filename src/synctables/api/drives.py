"""``/api/v1/imports/service/:service``: connecting cloud drives, and looking what lies in them."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from ipaddress import ip_address
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field

from synctables.accounts.model import Account
from synctables.api.bodies import check_texts, read_parameters, read_query
from synctables.api.calls import open_call, services_of
from synctables.api.descriptions import IMPORT_PROBLEMS
from synctables.api.jsonp import JsonpRoute
from synctables.api.schemas import Time
from synctables.datasources.base import Item
from synctables.datasources.drives.access import DriveAccess
from synctables.datasources.drives.known import DRIVE_NAMES, find_drive
from synctables.errors import (
    BoxPermissionError,
    ConfigurationError,
    ConsentError,
    DropboxPermissionError,
    InvalidRequestError,
    NotConnectedError,
    RunError,
)

router = APIRouter(
    prefix="/api/v1/imports/service/{service}",
    tags=["services"],
    route_class=JsonpRoute,
    responses=IMPORT_PROBLEMS,
)

CALLBACK_PATH = "/api/v1/imports/service/{service}/oauth_callback/"

_DEAD = (NotConnectedError, DropboxPermissionError, BoxPermissionError)
"""What a drive raises where the account has to be connected anew; its token is gone by then."""

_PAGE = (
    '<!doctype html><html lang="en"><title>{title}</title><p>{text}</p><script>{script}</script>'
)
_CLOSE_NOW = "window.close();"
_CLOSE_LATER = "setTimeout(window.close, 10000);"

log = structlog.get_logger(__name__)


class ServiceUrl(BaseModel):
    url: str = Field(description="where the user consents, in a browser")
    success: bool = True


class ServiceSuccess(BaseModel):
    success: bool = True


class TokenValidity(BaseModel):
    oauth_valid: bool = Field(description="whether the service still takes the stored token")
    success: bool = True


class ServiceFile(BaseModel):
    """A file, or a folder, of a service. ``id`` is what ``service_item_id`` takes."""

    id: str
    title: str
    filename: str
    service: str
    checksum: str
    size: int = Field(description="bytes; 0 where the service does not know")
    url: str | None = Field(description="its page at the service")
    path: str | None
    is_folder: bool
    modified_at: Time | None

    @classmethod
    def of(cls, item: Item, *, service: str) -> ServiceFile:
        return cls(
            id=item.id,
            title=item.title,
            filename=item.file_name,
            service=service,
            checksum=item.version.checksum,
            size=item.size_bytes or 0,
            url=item.web_link,
            path=item.path,
            is_folder=item.is_folder,
            modified_at=item.version.modified_at,
        )


class ServiceFiles(BaseModel):
    files: list[ServiceFile]
    success: bool = True


async def _authenticate(request: Request) -> Account:
    """The account of the call. Its transaction ends here: a service may take its time."""
    async with open_call(request, await read_parameters(request)) as call:
        return call.account


Caller = Annotated[Account, Depends(_authenticate)]


@router.get("/auth_url")
async def start_connecting(service: str, request: Request, account: Caller) -> ServiceUrl:
    """Where the account's user lets this server read the service's files. Good for 15 minutes."""
    with _told_to_caller():
        find_drive(service)
        url = await _drives(request).begin(
            service, account_id=account.id, redirect_uri=redirect_uri(request, service)
        )
    return ServiceUrl(url=url)


@router.get("/oauth_callback", response_class=HTMLResponse)
async def finish_connecting(service: str, request: Request) -> Response:
    """The way back from the service's page of consent, in the user's browser."""
    query = read_query(request)
    try:
        check_texts(query)
        if denied := query.get("error"):
            raise ConsentError(f"The service says: {denied[:200]}.")
        account_name = await _drives(request).come_back(
            service, state=query.get("state", ""), code=query.get("code", "")
        )
    except (InvalidRequestError, ConfigurationError) as error:
        return _closing_page("Not connected", str(error), status=400)
    except RunError as error:
        status = 403 if isinstance(error, _DEAD) else 400
        return _closing_page("Not connected", str(error), status=status)
    # Whoever followed a link that somebody else began sees here whom it was for.
    title = find_drive(service).title
    text = f"{title} is connected to the account {account_name}. This window can be closed."
    return _closing_page("Connected", text, status=200)


@router.get("/validate_code/{code:path}")
async def redeem_code(service: str, code: str, request: Request, account: Caller) -> ServiceSuccess:
    """Connect with a code that the user copied; ``success`` is false where it is not taken."""
    with _told_to_caller():
        try:
            await _drives(request).redeem_by_hand(service, account_id=account.id, code=code)
        except ConsentError as error:
            log.info("code_refused", service=service, reason=str(error))
            return ServiceSuccess(success=False)
    return ServiceSuccess()


@router.get("/token_valid")
async def check_token(service: str, request: Request, account: Caller) -> TokenValidity:
    """Whether the account can read the service's files; asks the service."""
    if service not in DRIVE_NAMES:
        return TokenValidity(oauth_valid=False)
    with _told_to_caller():
        is_valid = await _drives(request).has_valid_token(service, account_id=account.id)
    return TokenValidity(oauth_valid=is_valid)


@router.get("/list_files")
async def list_files(
    service: str,
    request: Request,
    account: Caller,
    filter: str = "",  # noqa: A002  # the documented name
    folder: str | None = None,
) -> Response:
    """Files that can be imported. ``filter``: those whose name contains it.

    ``folder``: what lies directly in the folder of this id, its folders included; empty: the root.
    """
    drives = _drives(request)
    with _told_to_caller():
        if not await drives.may_read(service, account_id=account.id):
            raise InvalidRequestError(f"No oauth set for service {service}")
        try:
            datasource = drives.datasource(service, account_id=account.id)
            found = await datasource.list(search=filter.strip() or None, folder=folder)
        except _DEAD as error:
            return _unauthorized(str(error))
    return await asyncio.to_thread(_render, found, service)


def _render(found: list[Item], service: str) -> Response:
    """For a thread: a hundred thousand files take seconds, and other calls go on meanwhile."""
    files = [ServiceFile.of(item, service=service) for item in found]
    return JSONResponse(ServiceFiles(files=files).model_dump(mode="json"))


@router.delete("/invalidate_token")
async def disconnect(service: str, request: Request, account: Caller) -> ServiceSuccess:
    """Withdraw the consent at the service, then forget the token."""
    with _told_to_caller():
        if not await _drives(request).disconnect(service, account_id=account.id):
            raise InvalidRequestError(f"No oauth set for service {service}")
    return ServiceSuccess()


def redirect_uri(request: Request, service: str) -> str:
    """The address that is registered with the service, and that its page of consent leads to.

    Never what ``Host`` says, which whoever calls (or a proxy) makes up; but on one's own machine
    the address is that of the call. Raises `InvalidRequestError`.
    """
    base = services_of(request).settings.public_url
    if base is None:
        if not _is_this_machine(request.url.hostname or ""):
            raise InvalidRequestError(
                "The operator of this server has to set SYNCTABLES_PUBLIC_URL: the address where "
                f"browsers reach it, which the service leads back to (docs/guides/{service}.md)."
            )
        base = str(request.base_url).rstrip("/")
    return base + CALLBACK_PATH.format(service=service)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _drives(request: Request) -> DriveAccess:
    return services_of(request).drives


@contextmanager
def _told_to_caller() -> Iterator[None]:
    """What only the operator can mend is a caller's problem as well: he must hear of it."""
    try:
        yield
    except ConfigurationError as error:
        raise InvalidRequestError(str(error)) from error


def _unauthorized(text: str) -> Response:
    return JSONResponse({"errors": text}, status_code=401)


def _closing_page(title: str, text: str, *, status: int) -> HTMLResponse:
    script = _CLOSE_NOW if status == 200 else _CLOSE_LATER
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return HTMLResponse(
        _PAGE.format(title=escape(title), text=escape(text), script=script),
        status_code=status,
        headers={
            "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{digest}'; "
            "frame-ancestors 'none'"
        },
    )
