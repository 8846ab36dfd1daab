"""Whatever an object store answers: the right code, a message for the user, and no secret."""

from __future__ import annotations

import logging
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.errors import (
    DatasourceConfigurationError,
    DatasourceConnectError,
    DatasourceReadError,
    DownloadTimeoutError,
    FileNotFoundAtSourceError,
    RunError,
)
from synctables.settings import Settings
from tests.support.object_stores import AZURITE_KEY, S3_SECRET, Bucket

BODY = b"name,lat,lon\nJena,50.9,11.6\n"
SAS_SIGNATURE = "c2VjcmV0LXNpZ25hdHVyZQ%3D%3D"
SAS = f"sv=2023-11-03&ss=b&srt=sco&sp=rl&se=2099-01-01T00:00:00Z&sig={SAS_SIGNATURE}"
READ, CONFIGURE, CONNECT = DatasourceReadError, DatasourceConfigurationError, DatasourceConnectError

# status, the store's own code, what becomes of it, words of the message
ANSWERS: list[tuple[int, str, type[RunError], str]] = [
    (403, "AccessDenied", READ, "may not be read by this server, or is not there"),
    (403, "AuthorizationPermissionMismatch", READ, "may not be read by this server"),
    (403, "InvalidObjectState", READ, "is archived"),
    (409, "BlobArchived", READ, "is archived"),
    (403, "InvalidAccessKeyId", CONFIGURE, "does not take the credentials of this server"),
    (403, "SignatureDoesNotMatch", CONFIGURE, "does not take the credentials of this server"),
    (403, "RequestTimeTooSkewed", CONFIGURE, "or their clocks differ"),
    (403, "AuthenticationFailed", CONFIGURE, "does not take the credentials of this server"),
    (400, "ExpiredToken", CONFIGURE, "does not take the credentials of this server"),
    (401, "InvalidAuthenticationInfo", CONFIGURE, "does not take the credentials of this server"),
    (301, "PermanentRedirect", CONFIGURE, "is in another region"),
    (400, "AuthorizationHeaderMalformed", CONFIGURE, "is in another region"),
    (404, "NoSuchKey", FileNotFoundAtSourceError, "There is nothing at"),
    (410, "Gone", FileNotFoundAtSourceError, "There is nothing at"),
    (404, "NoSuchBucket", FileNotFoundAtSourceError, "There is no "),
    (404, "ContainerNotFound", FileNotFoundAtSourceError, "There is no "),
    (400, "InvalidRequest", READ, "answered 400 Bad Request InvalidRequest"),
    (503, "SlowDown", CONNECT, "answered 503 Service Unavailable SlowDown"),
    (503, "ServerBusy", CONNECT, "answered 503 Service Unavailable ServerBusy"),
    (500, "InternalError", CONNECT, "answered 500 Internal Server Error"),
    (429, "TooManyRequests", CONNECT, "answered 429 Too Many Requests"),
    (408, "RequestTimeout", CONNECT, "answered 408 Request Timeout"),
]


@pytest.mark.parametrize(("status", "code", "expected", "words"), ANSWERS)
async def test_each_answer_has_its_error(
    s3: Bucket, tmp_path: Path, status: int, code: str, expected: type[RunError], words: str
) -> None:
    address = s3.put("cities.csv", BODY)
    echoed = f"<Error><Code>{code}</Code><Key>{S3_SECRET}</Key></Error>"
    s3.add_fault(status=status, body=echoed, content_type="application/xml")
    error = await s3.failure(address, tmp_path)
    assert type(error) is expected
    assert words in str(error)
    assert S3_SECRET not in str(error)
    assert f"s3://{s3.name}" in str(error)
    # The library tells no status of a redirect without a target.
    assert error.http_status == (None if status == 301 else status)
    assert error.transient is (expected is CONNECT)


async def test_what_is_not_there_is_told_apart_at_each_store(store: Bucket, tmp_path: Path) -> None:
    missing = await store.failure(store.address("not/there.csv"), tmp_path)
    assert (missing.code, str(missing)) == (
        1100,
        f"There is nothing at {store.address('not/there.csv')}.",
    )
    elsewhere = f"{store.scheme}://no-such-bucket"
    settings = store.settings(object_store_places=elsewhere)
    with pytest.raises(FileNotFoundAtSourceError):
        await ObjectStoreDatasource(settings, retries=0).probe(f"{elsewhere}/a.csv", known=None)


async def test_a_deleted_object_is_gone(store: Bucket, tmp_path: Path) -> None:
    address = store.put("cities.csv", BODY)
    version = (await store.file(address, tmp_path)).version
    store.delete("cities.csv")
    with pytest.raises(FileNotFoundAtSourceError):
        await store.fetch(address, tmp_path, version)


async def test_wrong_keys_are_the_operators_matter(s3: Bucket, tmp_path: Path) -> None:
    """moto looks at keys and signatures from here on, until it is told to stop."""
    address = s3.put("cities.csv", BODY)
    with _checked_keys(s3):
        fetching = await s3.failure(address, tmp_path)
        with pytest.raises(DatasourceConfigurationError) as probing:
            await s3.datasource().probe(address, known=None)
    for error in (fetching, probing.value):
        assert type(error) is DatasourceConfigurationError
        assert "SYNCTABLES_S3_…" in str(error)
    # The answer to a HEAD says no reason: a GET is asked for it.
    assert [one.method for one in s3.seen()][-2:] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"azure_account_key": AZURITE_KEY[:-8] + "AAAAAA=="},
        {"azure_account_key": None, "azure_sas_token": SAS},
        {"azure_account_key": None, "azure_sas_token": "no-token"},
    ],
)
async def test_wrong_keys_of_azure_are_the_operators_matter(
    azure: Bucket, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    error = await azure.failure(azure.put("cities.csv", BODY), tmp_path, **wrong)
    assert type(error) is DatasourceConfigurationError
    assert "SYNCTABLES_AZURE_…" in str(error)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gcs_service_account_file": "missing.json"}, "SERVICE_ACCOUNT_FILE: No such file"),
        ({"gcs_service_account_file": "broken.json"}, "SYNCTABLES_GCS_…"),
        ({"gcs_service_account_file": "no-key.json"}, "SYNCTABLES_GCS_…"),
        ({"drive_ca_file": "missing.pem"}, "SYNCTABLES_DRIVE_CA_FILE: No such file"),
        ({"drive_ca_file": "broken.json"}, "SYNCTABLES_DRIVE_CA_FILE"),
    ],
)
async def test_files_of_settings_that_are_no_use_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text('{"private_key": "s3cret')
    key = '{"private_key": "s3cret", "private_key_id": "1", "client_email": "a@example.org"}'
    (tmp_path / "no-key.json").write_text(key)
    given = {"object_store_places": "gs://open", "gcs_endpoint": "https://localhost:9"}
    source = ObjectStoreDatasource(Settings.model_validate(given | settings), retries=0)
    with pytest.raises(DatasourceConfigurationError) as caught:
        await source.probe("gs://open/a.csv", known=None)
    assert words in str(caught.value)
    assert "s3cret" not in _everything(caught.value)


async def test_a_store_that_does_not_answer_is_tried_again(s3: Bucket, tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"https://127.0.0.1:{closed.getsockname()[1]}"
        error = await s3.failure(s3.address("a.csv"), tmp_path, s3_endpoint=endpoint)
    assert (type(error), error.transient) == (DatasourceConnectError, True)


async def test_a_certificate_that_nobody_vouches_for_is_no_store(
    s3: Bucket, tmp_path: Path
) -> None:
    address = s3.put("cities.csv", BODY)
    error = await s3.failure(address, tmp_path, drive_ca_file=None)
    assert type(error) is DatasourceConnectError
    assert s3.seen() == []


async def test_a_store_that_falls_silent_is_a_timeout(s3: Bucket, tmp_path: Path) -> None:
    address = s3.put("cities.csv", BODY)
    s3.gate.is_silent = True
    error = await s3.failure(address, tmp_path, idle_timeout_seconds=0.2)
    assert (type(error), error.code) == (DownloadTimeoutError, 1020)


@pytest.mark.parametrize("address", ["s3://other/a.csv", "s3://open/../other/a.csv", "s3://open"])
async def test_a_place_that_is_not_listed_any_more_is_asked_nothing(
    s3: Bucket, tmp_path: Path, address: str
) -> None:
    error = await s3.failure(address, tmp_path, object_store_places="s3://open/x")
    assert (type(error), error.code) == (DatasourceReadError, 1011)
    assert s3.seen() == []


async def test_without_the_library_the_extra_is_named(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    error = await s3.failure(s3.address("a.csv"), tmp_path)
    assert type(error) is DatasourceConfigurationError
    assert "pip install 'synctables[object-stores]'" in str(error)


async def test_no_secret_is_in_any_error_repr_or_log(
    store: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = store.put("cities.csv", BODY)
    changes: list[dict[str, Any]] = [{}]
    if store.scheme == "az":
        changes.append({"azure_account_key": None, "azure_sas_token": SAS})
    said = []
    for change in changes:
        for status in (403, 418, 500):
            store.add_fault(status=status)
            said.append(_everything(await store.failure(address, tmp_path, **change)))
        said.append(repr(store.datasource(**change).__dict__) + repr(store.settings(**change)))
        said.append(_everything(await store.failure(store.address("not-there"), tmp_path)))
    text = "\n".join([*said, caplog.text])
    for secret in (S3_SECRET, AZURITE_KEY, AZURITE_KEY[:-2], SAS_SIGNATURE):
        assert secret not in text


def _everything(error: BaseException) -> str:
    """What a log would hold of it, causes included."""
    causes = [error.__cause__, error.__context__]
    return "".join(traceback.format_exception(error)) + repr([one for one in causes if one])


@contextmanager
def _checked_keys(bucket: Bucket) -> Iterator[None]:
    address = f"{bucket.target}/moto-api/reset-auth"
    requests.post(address, data="0", timeout=20).raise_for_status()
    try:
        yield
    finally:
        requests.post(address, data="inf", timeout=20).raise_for_status()
