"""One bucket at a local object store, behind a gate that sees, breaks and delays its requests.

``store``   each of the three in turn: a bucket of the test's own, and the settings that read it
``s3``      the first of them, for what does not depend on the store
``gcs``, ``azure``  the others, for what only they have
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import requests
import yarl
from aiohttp import web

from doubles.server import Fault, Seen, Trouble, application, run_double
from synctables.datasources.base import Fetched, NotModified, SourceVersion
from synctables.datasources.object_stores import ObjectStoreDatasource
from synctables.errors import RunError
from synctables.importer.fetch import fetch
from synctables.settings import Settings
from tests.support.clouds import CloudAuthority

AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (  # Azurite's own, in its documentation
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
S3_SECRET = "s3-secret-of-the-operator"
_SECONDS = 20
_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")
_numbers = itertools.count(1)


class Gate:
    """Hands requests on to ``target`` as they are, but for the faults of ``trouble``.

    ``before`` is called with each request that is handed on, in the gate's thread;
    ``more_query`` goes along with each that has a query; ``hidden_headers`` of answers are left
    out; while ``is_silent``, no request gets an answer.
    """

    def __init__(self, target: str) -> None:
        self.base_url = ""
        self.trouble = Trouble()
        self.before: Callable[[web.Request], None] = lambda request: None
        self.more_query = ""
        self.hidden_headers: tuple[str, ...] = ()
        self.is_silent = False
        self._end = asyncio.Event()
        self._target = target

    def application(self) -> web.Application:
        app = application(self.trouble)
        app.on_shutdown.append(self._let_go)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    async def _let_go(self, app: web.Application) -> None:
        self._end.set()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if self.is_silent:
            await self._end.wait()
        self.before(request)
        path = request.raw_path
        if self.more_query and request.query_string:
            path += f"&{self.more_query}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                yarl.URL(self._target + path, encoded=True),
                headers=request.headers,
                data=await request.read() or None,
                allow_redirects=False,
                skip_auto_headers=("Accept-Encoding", "Accept", "User-Agent", "Content-Type"),
            ) as answer,
        ):
            body = await answer.read()
            headers = {
                k: v
                for k, v in answer.headers.items()
                if k.lower() not in (*_HOP_BY_HOP, *self.hidden_headers)
            }
            if request.method == "HEAD" and "Content-Length" in answer.headers:
                headers["Content-Length"] = answer.headers["Content-Length"]
            return web.Response(status=answer.status, headers=headers, body=body)


@dataclass(kw_only=True)
class Bucket:
    """A bucket, and an operator's settings that let everything in it be read."""

    scheme: str
    name: str
    target: str
    gate: Gate
    options: dict[str, Any] = field(repr=False)
    progress: list[tuple[int, int | None]] = field(default_factory=list)

    def address(self, key: str) -> str:
        return f"{self.scheme}://{self.name}/{key}"

    def settings(self, **changes: Any) -> Settings:
        places = f"{self.scheme}://{self.name}"
        given = {"object_store_places": places, **self.options, **changes}
        return Settings.model_validate(given)

    def put(self, key: str, body: bytes, **headers: str) -> str:
        """Store an object, behind the gate. Returns its address."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        _PUT[self.scheme](self, key, body, headers)
        return self.address(key)

    def delete(self, key: str) -> None:
        headers: Mapping[str, str] = {}
        if self.scheme == "gs":
            path = f"/storage/v1/b/{self.name}/o/{quote(key, safe='')}"
        else:
            path = f"{self.path}/{quote(key)}"
            headers = self.signed("DELETE", path)
        _call("DELETE", self.target + path, headers=headers)

    @property
    def path(self) -> str:
        """Of the bucket, below the store's address."""
        account = f"/{AZURITE_ACCOUNT}" if self.scheme == "az" else ""
        return f"{account}/{self.name}"

    def signed(
        self, method: str, path: str, query: str = "", size: int = 0, **more: str
    ) -> dict[str, str]:
        """Headers of a request of the owner's, as far as each emulator looks at them."""
        if self.scheme == "gs":
            return {}
        if self.scheme == "s3":
            who = "Credential=OWNER/20260101/us-east-1/s3/aws4_request"
            return {"Authorization": f"AWS4-HMAC-SHA256 {who}, SignedHeaders=host, Signature=0"}
        given = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
        given |= {name.lower(): value for name, value in more.items()}
        return given | {"Authorization": _azure_signature(method, path, query, size, given)}

    def keep_versions(self) -> None:
        """From now on each object has a version id; of S3 only."""
        given = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        headers = self.signed("PUT", self.path)
        _call("PUT", f"{self.target}{self.path}?versioning", data=given, headers=headers)

    def seen(self, method: str = "", key: str = "") -> list[Seen]:
        """Requests for a key that came through the gate."""
        return [
            one
            for one in self.gate.trouble.seen()
            if one.method.startswith(method) and one.path.endswith(key)
        ]

    def datasource(self, **changes: Any) -> ObjectStoreDatasource:
        return ObjectStoreDatasource(self.settings(**changes), retries=0, backoff_seconds=0)

    async def fetch(
        self, address: str, into: Path, known: SourceVersion | None = None, **changes: Any
    ) -> Fetched | NotModified:
        return await fetch(
            self.datasource(**changes),
            address,
            known=known,
            into=into,
            on_bytes=lambda received, total: self.progress.append((received, total)),
        )

    async def file(self, address: str, into: Path, known: SourceVersion | None = None) -> Fetched:
        fetched = await self.fetch(address, into, known)
        assert isinstance(fetched, Fetched)
        return fetched

    async def failure(self, address: str, into: Path, **changes: Any) -> RunError:
        with pytest.raises(RunError) as caught:
            await self.fetch(address, into, **changes)
        return caught.value

    def add_fault(self, *, times: int = 1, **fault: Any) -> None:
        self.gate.trouble.add(Fault(path="/", **fault), times=times)


@pytest.fixture(params=["s3", "gs", "az"])
def store(request: pytest.FixtureRequest, cloud_authority: CloudAuthority) -> Iterator[Bucket]:
    with open_bucket(request, request.param, cloud_authority) as bucket:
        yield bucket


@pytest.fixture
def s3(request: pytest.FixtureRequest, cloud_authority: CloudAuthority) -> Iterator[Bucket]:
    with open_bucket(request, "s3", cloud_authority) as bucket:
        yield bucket


@pytest.fixture
def gcs(request: pytest.FixtureRequest, cloud_authority: CloudAuthority) -> Iterator[Bucket]:
    with open_bucket(request, "gs", cloud_authority) as bucket:
        yield bucket


@pytest.fixture
def azure(request: pytest.FixtureRequest, cloud_authority: CloudAuthority) -> Iterator[Bucket]:
    with open_bucket(request, "az", cloud_authority) as bucket:
        yield bucket


@contextmanager
def open_bucket(
    request: pytest.FixtureRequest, scheme: str, authority: CloudAuthority
) -> Iterator[Bucket]:
    """A new bucket at this kind of store, as long as the block runs."""
    emulator = {"s3": "moto", "gs": "fake_gcs", "az": "azurite"}[scheme]
    target: str = request.getfixturevalue(emulator)
    gate = Gate(target)
    with run_double(gate, authority.ca):
        options = {"drive_ca_file": authority.ca_file, **_options(scheme, gate.base_url)}
        name = f"bucket-{next(_numbers)}"
        bucket = Bucket(scheme=scheme, name=name, target=target, gate=gate, options=options)
        _create(bucket)
        yield bucket


def _options(scheme: str, endpoint: str) -> dict[str, Any]:
    if scheme == "s3":
        return {
            "s3_endpoint": endpoint,
            "s3_access_key_id": "OPERATOR",
            "s3_secret_access_key": S3_SECRET,
        }
    if scheme == "gs":
        return {"gcs_endpoint": endpoint}
    return {
        "azure_endpoint": f"{endpoint}/{AZURITE_ACCOUNT}",
        "azure_account": AZURITE_ACCOUNT,
        "azure_account_key": AZURITE_KEY,
    }


def _create(bucket: Bucket) -> None:
    if bucket.scheme == "s3":
        headers = bucket.signed("PUT", bucket.path)
        _call("PUT", bucket.target + bucket.path, headers=headers)
    elif bucket.scheme == "gs":
        address = f"{bucket.target}/storage/v1/b?project=tests"
        _call("POST", address, data=json.dumps({"name": bucket.name}))
    else:
        headers = bucket.signed("PUT", bucket.path, "restype=container")
        _call("PUT", f"{bucket.target}{bucket.path}?restype=container", headers=headers)


def _put_s3(bucket: Bucket, key: str, body: bytes, headers: dict[str, str]) -> None:
    path = f"{bucket.path}/{quote(key)}"
    headers |= bucket.signed("PUT", path)
    _call("PUT", bucket.target + path, data=body, headers=headers)


def _put_gcs(bucket: Bucket, key: str, body: bytes, headers: dict[str, str]) -> None:
    """https://cloud.google.com/storage/docs/json_api/v1/objects/insert, multipart."""
    names = {"Content-Type": "contentType", "Content-Encoding": "contentEncoding",
             "Content-Disposition": "contentDisposition"}  # fmt: skip
    described = {names[name]: value for name, value in headers.items()}
    kind = headers.get("Content-Type", "application/octet-stream").encode()
    data = b"".join(
        b"--cut\r\nContent-Type: %b\r\n\r\n%b\r\n" % part
        for part in (
            (b"application/json", json.dumps({"name": key, **described}).encode()),
            (kind, body),
        )
    )
    _call(
        "POST",
        f"{bucket.target}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart",
        data=data + b"--cut--\r\n",
        headers={"Content-Type": "multipart/related; boundary=cut"},
    )


def _put_azure(bucket: Bucket, key: str, body: bytes, headers: dict[str, str]) -> None:
    path = f"{bucket.path}/{quote(key)}"
    more = {f"x-ms-blob-{name}": value for name, value in headers.items()}
    more["x-ms-blob-type"] = "BlockBlob"
    _call(
        "PUT",
        bucket.target + path,
        data=body,
        headers=bucket.signed("PUT", path, size=len(body), **more),
    )


_PUT = {"s3": _put_s3, "gs": _put_gcs, "az": _put_azure}


def _azure_signature(
    method: str, path: str, query: str, size: int, headers: Mapping[str, str]
) -> str:
    """https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    resource = f"/{AZURITE_ACCOUNT}{path}"
    if query:
        resource += "\n" + query.replace("=", ":")
    text = f"{method}\n\n\n{size or ''}\n\n\n\n\n\n\n\n\n{own}{resource}"
    digest = hmac.digest(base64.b64decode(AZURITE_KEY), text.encode(), hashlib.sha256)
    return f"SharedKey {AZURITE_ACCOUNT}:{base64.b64encode(digest).decode()}"


def _call(method: str, address: str, **options: Any) -> None:
    answer = requests.request(method, address, timeout=_SECONDS, **options)
    assert answer.ok, (answer.status_code, answer.text)
