"""Objects at real local stores: S3, Google Cloud Storage and Azure, through a gate with faults."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from synctables.datasources.base import Fetched, Item, NotModified, SourceVersion
from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.errors import EmptyFileError, PartialFileError, RunError
from tests.support.object_stores import Bucket

BODY = b"name,lat,lon\n" + b"Jena,50.9,11.6\n" * 200_000
OTHER = b"name,lat,lon\n" + b"Weimar,51.0,11.3\n" * 200_000
SHA = hashlib.sha256(BODY).hexdigest()
KEY = "open data/städte & orte/cities+100%.csv"


async def test_an_object_is_described_by_a_head(store: Bucket) -> None:
    address = store.put(KEY, BODY)
    item = await store.datasource().probe(address, known=None)
    assert isinstance(item, Item)
    assert (item.id, item.file_name, item.path) == (address, "cities+100%.csv", KEY)
    assert item.size_bytes == len(BODY)
    assert item.version.etag
    assert item.version.modified_at
    assert [one.method for one in store.seen()] == ["HEAD"]
    assert isinstance(await store.datasource().probe(address, known=item.version), NotModified)


async def test_an_object_comes_whole_with_its_version_and_progress(
    store: Bucket, tmp_path: Path
) -> None:
    address = store.put(KEY, BODY, Content_Type="text/csv")
    fetched = await store.file(address, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.file_name, fetched.content_type) == ("cities+100%.csv", "text/csv")
    assert (fetched.size_bytes, fetched.version.content_sha256) == (len(BODY), SHA)
    assert fetched.version.etag
    assert store.progress[-1] == (len(BODY), len(BODY))
    assert len(store.progress) > 1
    assert [one.method for one in store.seen()] == ["GET"]


async def test_an_unchanged_object_is_not_fetched(store: Bucket, tmp_path: Path) -> None:
    address = store.put(KEY, BODY)
    version = (await store.file(address, tmp_path)).version
    store.progress.clear()
    outcome = await store.fetch(address, tmp_path, version)
    assert outcome == NotModified(version=version)
    assert store.seen()[-1].headers["if-none-match"] == version.etag
    assert store.progress == []


async def test_a_changed_object_is_fetched(store: Bucket, tmp_path: Path) -> None:
    address = store.put(KEY, BODY)
    version = (await store.file(address, tmp_path)).version
    store.put(KEY, OTHER)
    fetched = await store.file(address, tmp_path, version)
    assert fetched.path.read_bytes() == OTHER
    assert fetched.version.etag != version.etag


async def test_the_same_content_under_another_etag_is_not_modified(
    store: Bucket, tmp_path: Path
) -> None:
    address = store.put(KEY, BODY)
    known = SourceVersion(etag='"as-it-was-uploaded-in-parts"', content_sha256=SHA)
    outcome = await store.fetch(address, tmp_path, known)
    assert isinstance(outcome, NotModified)
    assert outcome.version.content_sha256 == SHA
    assert outcome.version.etag not in (None, known.etag)
    assert not (tmp_path / "fetched" / "cities+100%.csv").exists()


async def test_a_broken_body_goes_on_where_it_stopped_within_its_version(
    store: Bucket, tmp_path: Path
) -> None:
    address = store.put(KEY, BODY)
    store.add_fault(cut_after_bytes=2_500_000)
    fetched = await store.file(address, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert fetched.version.content_sha256 == SHA
    first, second = store.seen("GET")
    assert "range" not in first.headers
    assert second.headers["if-match"] == fetched.version.etag
    offset = int(second.headers["range"].removeprefix("bytes=").removesuffix("-"))
    assert 1_000_000 < offset <= 2_500_000


async def test_an_object_that_changes_in_the_middle_comes_whole_in_its_new_version(
    store: Bucket, tmp_path: Path
) -> None:
    address = store.put(KEY, BODY)
    store.add_fault(cut_after_bytes=2_500_000)

    def change(request: web.Request) -> None:
        if "Range" in request.headers:
            store.put(KEY, OTHER)

    store.gate.before = change
    fetched = await store.file(address, tmp_path)
    assert fetched.path.read_bytes() == OTHER


async def test_an_object_that_never_stays_the_same_is_tried_again_later(
    s3: Bucket, tmp_path: Path
) -> None:
    versions = iter(range(100))
    address = s3.put(KEY, BODY)
    s3.add_fault(cut_after_bytes=2_500_000)

    def change(request: web.Request) -> None:
        if "Range" in request.headers:
            s3.put(KEY, BODY + str(next(versions)).encode())
            s3.add_fault(cut_after_bytes=2_500_000)

    s3.gate.before = change
    error = await s3.failure(address, tmp_path)
    assert (type(error), error.transient) == (PartialFileError, True)
    assert "changed" in str(error)
    assert len(s3.seen("GET")) == 6


async def test_an_object_without_any_validator_begins_anew(s3: Bucket, tmp_path: Path) -> None:
    address = s3.put(KEY, BODY)
    s3.gate.hidden_headers = ("etag", "x-amz-version-id")
    s3.add_fault(cut_after_bytes=2_500_000)
    fetched = await s3.file(address, tmp_path)
    assert fetched.version.content_sha256 == SHA
    assert [one.headers.get("range") for one in s3.seen("GET")] == [None, None]


async def test_too_large_an_object_ends_before_its_body(store: Bucket, tmp_path: Path) -> None:
    address = store.put(KEY, BODY)
    error = await store.failure(address, tmp_path, max_file_bytes=len(BODY) - 1)
    assert (error.code, error.transient) == (6666, False)
    assert store.progress == []


async def test_what_is_stored_compressed_is_decompressed_under_the_same_cap(
    store: Bucket, tmp_path: Path
) -> None:
    packed = gzip.compress(BODY)
    address = store.put(KEY, packed, Content_Encoding="gzip", Content_Type="text/csv")
    fetched = await store.file(address, tmp_path)
    assert (fetched.size_bytes, fetched.version.content_sha256) == (len(BODY), SHA)
    assert fetched.path.read_bytes() == BODY
    error = await store.failure(address, tmp_path, max_file_bytes=len(BODY) - 1)
    assert error.code == 6666


async def test_an_empty_object_is_an_empty_file(store: Bucket, tmp_path: Path) -> None:
    error = await store.failure(store.put("nothing.csv", b""), tmp_path)
    assert type(error) is EmptyFileError


async def test_the_store_may_name_the_file(s3: Bucket, tmp_path: Path) -> None:
    name = 'attachment; filename="../cities.csv"'
    address = s3.put("0a1b2c", BODY, Content_Disposition=name)
    assert (await s3.file(address, tmp_path)).file_name == "cities.csv"


async def test_a_version_id_tells_where_there_is_no_etag(s3: Bucket, tmp_path: Path) -> None:
    s3.keep_versions()
    address = s3.put(KEY, BODY)
    s3.gate.hidden_headers = ("etag",)
    s3.add_fault(cut_after_bytes=2_500_000)
    fetched = await s3.file(address, tmp_path)
    assert (fetched.version.etag, fetched.version.content_sha256) == (None, SHA)
    assert fetched.version.revision
    assert f"versionId={fetched.version.revision}" in s3.seen("GET")[-1].query
    assert isinstance(await s3.fetch(address, tmp_path, fetched.version), NotModified)
    older = replace(fetched.version, content_sha256=None)
    s3.put(KEY, OTHER)
    assert (await s3.file(address, tmp_path, older)).path.read_bytes() == OTHER


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_moment_of_trouble_is_waited_out(s3: Bucket, tmp_path: Path, status: int) -> None:
    address = s3.put(KEY, BODY)
    s3.add_fault(status=status, body="<Error><Code>SlowDown</Code></Error>", times=2)
    patient = ObjectStoreDatasource(s3.settings(), retries=3)
    fetched = await patient.fetch(address, known=None, into=tmp_path, on_bytes=lambda *_: None)
    assert isinstance(fetched, Fetched)
    assert len(s3.seen("GET")) == 3


async def test_google_is_asked_with_a_token_that_the_service_account_signs_itself(
    gcs: Bucket, tmp_path: Path
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    account = {"private_key": pem, "private_key_id": "1", "client_email": "reader@example.org"}
    key_file = tmp_path / "reader.json"
    key_file.write_text(json.dumps(account))
    outcome = await gcs.fetch(gcs.put(KEY, BODY), tmp_path, gcs_service_account_file=key_file)
    assert isinstance(outcome, Fetched)
    (asked,) = gcs.seen()
    token = asked.headers["authorization"].removeprefix("Bearer ")
    signed, _, signature = token.rpartition(".")
    key.public_key().verify(_unpack(signature), signed.encode(), PKCS1v15(), SHA256())
    assert json.loads(_unpack(signed.partition(".")[2]))["iss"] == "reader@example.org"
    # Else Google would decompress what is stored compressed.
    assert asked.headers["accept-encoding"] == "gzip"


async def test_without_a_key_nothing_is_signed(store: Bucket) -> None:
    changes = {"s3_access_key_id": None, "s3_secret_access_key": None, "azure_account_key": None}
    with contextlib.suppress(RunError):  # Azurite refuses, rightly
        await store.datasource(**changes).probe(store.address(KEY), known=None)
    assert store.seen()
    assert ["authorization" in one.headers for one in store.seen()].count(True) == 0
    assert ["sig=" in one.query for one in store.seen()].count(True) == 0


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
