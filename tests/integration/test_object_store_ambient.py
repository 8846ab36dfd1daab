"""What the machine would lend: variables, files, metadata services. None of it is ever used."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.server import run_double
from tests.support.clouds import CloudAuthority
from tests.support.object_stores import S3_SECRET, Bucket, Gate

BODY = b"name,lat,lon\nJena,50.9,11.6\n"
SCRIPT = Path(__file__).parents[1] / "support" / "metadata_probe.py"


def documented_variables() -> list[str]:
    """Every variable that the installed library says it reads, in its own type stubs."""
    spec = importlib.util.find_spec("obstore")
    assert spec is not None
    assert spec.origin is not None
    texts = [path.read_text() for path in Path(spec.origin).parent.glob("_store/*.pyi")]
    return sorted(set(re.findall(r"`((?:AWS|GOOGLE|AZURE)_[A-Z0-9_]+)`", "".join(texts))))


def ambient(trap: str) -> dict[str, str]:
    """Variables of a machine that would have all requests sent elsewhere, as somebody else."""
    given = {}
    for name in [*documented_variables(), *UNDOCUMENTED]:
        is_address = re.search(r"ENDPOINT|URL|URI|HOST|PROXY|ROOT|_IP$", name)
        is_switch = re.search(r"SKIP|USE_|EXPRESS|STYLE|PAYER|UNSIGNED|FALLBACK|DISABLE", name)
        given[name] = trap if is_address else "true" if is_switch else "ambient"
    return given


UNDOCUMENTED = [
    "AZURITE_BLOB_STORAGE_URL", "GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT",
    "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "SERVICE_ACCOUNT", "AWS_PROFILE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
]  # fmt: skip


def test_the_library_documents_variables() -> None:
    assert len(documented_variables()) > 50


async def test_variables_of_the_machine_change_nothing(
    store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: Gate
) -> None:
    address = store.put("open/cities.csv", BODY)
    monkeypatch.setenv("HOME", str(_home(tmp_path)))
    for name, value in ambient(trap.base_url).items():
        monkeypatch.setenv(name, value)
    fetched = await store.file(address, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (await store.datasource().probe(address, known=None)) is not None
    assert len(await store.datasource().list()) == 1
    sent = repr([(one.path, one.query, one.headers) for one in store.seen()])
    assert "ambient" not in sent
    assert S3_SECRET not in sent
    assert trap.trouble.seen() == []


async def test_variables_would_change_everything_for_a_store_that_is_opened_carelessly(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch, trap: Gate
) -> None:
    """What the test above is worth: the same variables, and the library as it comes."""
    from obstore.store import S3Store

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", trap.base_url)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "ambient")
    careless = S3Store(
        "open",
        endpoint=s3.gate.base_url,
        access_key_id="OPERATOR",
        secret_access_key=S3_SECRET,
        client_options={"root_certificate": s3.options["drive_ca_file"].read_bytes()},
        retry_config={"max_retries": 0},
    )
    with pytest.raises(FileNotFoundError):
        careless.head("a.csv")
    assert [one.headers["x-amz-security-token"] for one in trap.trouble.seen()] == ["ambient"]


def test_metadata_services_are_never_asked() -> None:
    """In a network of its own, where the addresses of the metadata services belong to the test."""
    done = subprocess.run(
        ["unshare", "--map-root-user", "--user", "--net", sys.executable, str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "unshare" in done.stderr:
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    ours, careless = done.stdout.splitlines()
    assert ours == "synctables asked 0 times"
    assert re.fullmatch("the library asked [1-9][0-9]* times", careless)


@pytest.fixture
def trap(moto: str, cloud_authority: CloudAuthority) -> Iterator[Gate]:
    """Where the machine's variables point to."""
    gate = Gate(moto)
    with run_double(gate, cloud_authority.ca):
        yield gate


def _home(tmp_path: Path) -> Path:
    """With the files where the clouds' own tools keep credentials."""
    home = tmp_path / "home"
    for name, text in {
        ".aws/credentials": "[default]\naws_access_key_id = ambient\naws_secret_access_key = a\n",
        ".aws/config": "[default]\nregion = ambient\nendpoint_url = https://ambient.invalid\n",
        ".config/gcloud/application_default_credentials.json": '{"type": "ambient"}',
        ".azure/azureProfile.json": '{"ambient": 1}',
    }.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return home
