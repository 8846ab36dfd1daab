"""Counts who asks the metadata services of clouds. Run in a network namespace of its own.

The loopback interface gets their addresses, and a listener counts connections: first to what
Synctables does without any credentials, then to what the library does by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import RetryConfig

METADATA = ("169.254.169.254", "169.254.170.2", "169.254.170.23")
_SIOCSIFADDR, _SIOCSIFFLAGS, _IFF_UP = 0x8916, 0x8914, 0x1
_counted = 0


def main() -> None:
    _raise_interfaces()
    for address in METADATA:
        threading.Thread(target=_listen, args=[address], daemon=True).start()
    with socket.create_connection((METADATA[0], 80), timeout=5) as reaching:
        reaching.recv(1)  # until it is counted, and closed
    if _counted != 1:
        raise SystemExit("the listener does not count")
    asked = _counted
    asyncio.run(_ours())
    sys.stdout.write(f"synctables asked {_counted - asked} times\n")
    asked = _counted
    _careless()
    sys.stdout.write(f"the library asked {_counted - asked} times\n")


async def _ours() -> None:
    from synctables.datasources.object_stores import ObjectStoreDatasource
    from synctables.errors import RunError
    from synctables.settings import Settings

    places = "s3://open-data,gs://open-data,az://open-data"
    settings = Settings.model_validate({"object_store_places": places, "azure_account": "some"})
    source = ObjectStoreDatasource(settings, retries=0)
    for scheme in ("s3", "gs", "az"):
        for attempt in (
            source.probe(f"{scheme}://open-data/a.csv", known=None),
            source.list(folder=f"{scheme}://open-data"),
        ):
            with contextlib.suppress(RunError):  # there is no name server here
                await attempt


def _careless() -> None:
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore, S3Store

    once: RetryConfig = {"max_retries": 0}
    for store in (
        S3Store("open-data", retry_config=once),
        GCSStore("open-data", retry_config=once),
        AzureStore("open-data", account_name="some", retry_config=once),
    ):
        with contextlib.suppress(BaseError):
            store.head("a.csv")


def _raise_interfaces() -> None:
    """Loopback up, and an alias of it for each address; by ioctl, as there may be no ``ip``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        for number, address in enumerate(METADATA):
            target = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            name = f"lo:{number}".encode()
            fcntl.ioctl(handle, _SIOCSIFADDR, struct.pack("16s16s8x", name, target))


def _listen(address: str) -> None:
    global _counted
    with socket.create_server((address, 80)) as server:
        while True:
            connection, _ = server.accept()
            _counted += 1
            connection.close()


if __name__ == "__main__":
    main()
