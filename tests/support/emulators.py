"""The local object stores: moto's S3, fake-gcs-server and Azurite, each a process on loopback.

``make emulators`` installs them. They start when a test first asks and end with the session; a
test that asks for one that is not installed is skipped, and says so.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
_PYTHON = ROOT / ".venv-emulators" / "bin" / "python"
_AZURITE = ROOT / "tests/emulators/node_modules/azurite/dist/src/blob/main.js"
_STOP_SECONDS = 10


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Amazon's S3, at an address such as ``http://127.0.0.1:4711``."""
    command = [str(_PYTHON), "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _running(command, needs=_PYTHON, ready="Running on") as address:
        yield address


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[str]:
    """Google Cloud Storage. It knows no credentials and no conditional requests."""
    found = sorted(ROOT.glob(".venv-emulators/lib/*/site-packages/**/bin/fake-gcs-server-*"))
    program = found[0] if found else ROOT / "fake-gcs-server"
    command = [str(program), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"]
    options = ["-port", "0", "-public-host", "localhost"]
    with _running([*command, *options], needs=program, ready="server started") as address:
        yield address


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Azure Blob Storage, with the account and the key that Azurite is known to have."""
    options = ["--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--silent"]
    command = ["node", str(_AZURITE), *options, "--skipApiVersionCheck"]
    with _running(command, needs=_AZURITE, ready="successfully listens") as address:
        yield address


@contextlib.contextmanager
def _running(command: list[str], *, needs: Path, ready: str) -> Iterator[str]:
    if not needs.exists():
        pytest.skip("a local object store is not installed here: make emulators")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if ready in line:
                break
        else:
            raise AssertionError(f"{command[0]} ended: {''.join(said)}")
        yield f"http://127.0.0.1:{_port(process.pid)}"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.communicate()


def _port(process_id: int) -> int:
    """Where it listens: it was told to choose, and not every one says what it chose."""
    (port,) = {
        connection.laddr.port
        for connection in psutil.Process(process_id).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    return int(port)
