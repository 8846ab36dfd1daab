"""From an address as a user gave it to the datasource that reads it: the one place that knows all.

A new kind of address is added here, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.datasources.public_url import PublicUrlDatasource
from synctables.datasources.web_address import shown_address, validate_url
from synctables.errors import InvalidRequestError
from synctables.object_address import (
    ObjectAddress,
    Place,
    WrongObjectAddressError,
    is_object_address,
)

if TYPE_CHECKING:
    import aiohttp

    from synctables.datasources.base import Datasource
    from synctables.settings import Settings

PLACES_SETTING = "SYNCTABLES_OBJECT_STORE_PLACES"


def validate_address(address: str, *, places: tuple[Place, ...]) -> str:
    """The normalised form of an address given by a user; `InvalidRequestError` says what is wrong.

    ``places``: where in object stores the operator allows to read.
    """
    text = address.strip()
    if not is_object_address(text):
        return validate_url(text)
    try:
        parsed = ObjectAddress.parse(text)
    except WrongObjectAddressError as error:
        message = f"Invalid URL, cannot connect dataset: {shown_address(text)} ({error})"
        raise InvalidRequestError(message) from error
    _check_place(parsed, places)
    return str(parsed)


def find_datasource(
    address: str, *, session: aiohttp.ClientSession, settings: Settings
) -> Datasource:
    """The datasource whose item ``address`` is.

    ``session`` comes from `create_http_session`; only public addresses are asked through it.
    """
    if is_object_address(address):
        return ObjectStoreDatasource(settings)
    return PublicUrlDatasource(session, settings)


def _check_place(address: ObjectAddress, places: tuple[Place, ...]) -> None:
    if any(place.holds(address) for place in places):
        return
    if any(place.store == address.store for place in places):
        message = f"{address} lies in none of the places that the operator lists in"
    else:
        message = f"This server reads nothing at {address.store}://. The operator can allow it with"
    raise InvalidRequestError(f"{message} {PLACES_SETTING}.")
