"""The same at the services themselves, read only, so that anybody can check the local stores.

Each needs an object that is there: ``SYNCTABLES_TEST_S3_ADDRESS=s3://bucket/key.csv`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from synctables.datasources.base import Fetched, Item, NotModified
from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.errors import DatasourceConfigurationError, DatasourceReadError, RunError
from synctables.settings import Settings
from tests.support.clouds import live_credentials

pytestmark = pytest.mark.live

# The credentials by the names of their settings, and one change that spoils them.
SERVICES: dict[str, tuple[tuple[str, ...], Mapping[str, str]]] = {
    "s3": (
        ("REGION", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"),
        {"s3_secret_access_key": "not-the-secret"},
    ),
    "gcs": (("SERVICE_ACCOUNT_FILE",), {"gcs_service_account_file": "/nonexistent.json"}),
    "azure": (("ACCOUNT", "SAS_TOKEN"), {"azure_sas_token": "sv=2023-11-03&sig=bm90aGluZw%3D%3D"}),
}


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def given(service: str) -> dict[str, Any]:
    """Settings, and the address of the object."""
    names = SERVICES[service][0]
    found = live_credentials(service, "ADDRESS", *names)
    settings = {f"{service}_{name.lower()}": found[name] for name in names}
    return {**settings, "object_store_places": found["ADDRESS"].rpartition("/")[0]} | {
        "address": found["ADDRESS"]
    }


def _source(given: dict[str, Any], **changes: Any) -> ObjectStoreDatasource:
    settings = {name: value for name, value in given.items() if name != "address"}
    return ObjectStoreDatasource(Settings.model_validate(settings | changes))


async def test_an_object_is_described_fetched_and_then_unchanged(
    given: dict[str, Any], tmp_path: Path
) -> None:
    source, address = _source(given), given["address"]
    item = await source.probe(address, known=None)
    fetched = await source.fetch(address, known=None, into=tmp_path, on_bytes=lambda *_: None)
    assert isinstance(item, Item)
    assert isinstance(fetched, Fetched)
    assert item.version.etag == fetched.version.etag
    assert item.size_bytes == fetched.size_bytes
    again = await source.fetch(
        address, known=fetched.version, into=tmp_path, on_bytes=lambda *_: None
    )
    assert again == NotModified(version=fetched.version)
    assert address in [one.id for one in await source.list()]


async def test_what_is_not_there_is_gone_or_forbidden(given: dict[str, Any]) -> None:
    with pytest.raises(RunError) as caught:
        await _source(given).probe(f"{given['address']}-not-there", known=None)
    assert caught.value.code == 1100 or type(caught.value) is DatasourceReadError


async def test_wrong_credentials_are_the_operators_matter(
    service: str, given: dict[str, Any]
) -> None:
    with pytest.raises(DatasourceConfigurationError):
        await _source(given, **SERVICES[service][1]).probe(given["address"], known=None)
