"""The official Python SDK of the documented API, unchanged, as a client of ours."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_server import ApiAccount, ApiServer

pytestmark = pytest.mark.filterwarnings(
    "ignore:You are using unencrypted API key:UserWarning",
    "ignore:pkg_resources is deprecated as an API:UserWarning",
    "ignore:pkg_resources is deprecated as an API:DeprecationWarning",
    "ignore:Deprecated call to `pkg_resources:DeprecationWarning",
    "ignore:invalid escape sequence:SyntaxWarning",
    "ignore:invalid escape sequence:DeprecationWarning",
)

URL = "https://example.org/parks.csv"


@pytest.fixture
def sdk(api: ApiAccount) -> Any:
    """The SDK's client, addressed as on an installation without sub-domains."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from carto.auth import APIKeyAuthClient  # importing it warns

    return APIKeyAuthClient(f"{api.base_url}/user/{api.name}/", api.api_key)


def test_a_sync_table_is_created_read_saved_forced_and_deleted(api: ApiAccount, sdk: Any) -> None:
    from carto.sync_tables import SyncTableJobManager

    job = SyncTableJobManager(sdk).create(URL, 3600)
    assert (job.state, job.interval, job.url) == ("created", 3600, URL)
    path = f"synchronizations/{job.id}"

    job.refresh()
    assert (job.service_item_id, job.name, job.error_code) == (URL, None, None)
    assert job.created_at.utcoffset().total_seconds() == 0

    job.interval = 7200
    job.save()  # sends every attribute back, read-only ones included
    assert api.call("GET", path).json()["interval"] == 7200

    job.force_sync()  # a PUT without a body on the sync itself
    assert (job.interval, job.state) == (7200, "created")

    job.delete()
    assert api.call("GET", path).status_code == 404


def test_a_job_that_is_run_sends_its_parameters_in_the_query(sdk: Any) -> None:
    from carto.sync_tables import SyncTableJob

    job = SyncTableJob(URL, 900, sdk)
    job.run(content_guessing=True)
    assert (job.state, job.content_guessing, job.interval) == ("created", True, 900)
    job.refresh()
    assert job.service_item_id == URL


def test_all_asks_for_every_sync_table_and_ends(sdk: Any) -> None:
    """The SDK cannot make its own objects of the answer and leaves them out; it must not raise."""
    from carto.sync_tables import SyncTableJobManager

    syncs = SyncTableJobManager(sdk)
    assert syncs.all() == []
    for number in range(3):
        syncs.create(f"{URL}?{number}", 3600)
    assert syncs.all() == []


def test_a_file_is_uploaded(sdk: Any, tmp_path: Path, shared_server: ApiServer) -> None:
    from carto.file_import import FileImportJob

    path = tmp_path / "towns.csv"
    path.write_bytes(b"name,size\nOslo,700000\n")
    with path.open("rb") as file:
        job = FileImportJob(file, sdk)
        job.run(privacy="private", type_guessing=False)
    assert job.success
    (chunk,) = shared_server.query(
        "SELECT content FROM upload_chunks WHERE run_id = %s", job.item_queue_id
    )
    assert chunk["content"] == path.read_bytes()
    job.id = job.item_queue_id
    job.refresh()
    assert (job.state, job.display_name, job.type_guessing) == ("pending", "towns.csv", False)


def test_an_address_is_imported(sdk: Any, api: ApiAccount) -> None:
    from carto.file_import import FileImportJob, FileImportJobManager

    job = FileImportJob(URL, sdk)
    job.run()
    assert job.success
    assert FileImportJobManager(sdk).all() == []  # as above: it asks, and drops the answer
    assert api.call("GET", "imports").json()["imports"] == [job.item_queue_id]


def test_a_refusal_reaches_the_sdk_as_its_own_error(sdk: Any, api: ApiAccount) -> None:
    from carto.auth import APIKeyAuthClient
    from carto.sync_tables import SyncTableJobManager
    from pyrestcli.exceptions import BaseException as SdkError

    with pytest.raises(SdkError):
        SyncTableJobManager(sdk).create(URL, 10)
    stranger = APIKeyAuthClient(f"{api.base_url}/user/{api.name}/", "0" * 40)
    with pytest.raises(SdkError):
        SyncTableJobManager(stranger).all()
