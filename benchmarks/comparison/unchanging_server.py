"""A server on twenty addresses of this machine whose files never change: it answers 304 at once.

As little Python as can be, since it shares the processors with what is measured. Prints its port,
then serves until its standard input ends, and prints how many requests came.

python unchanging_server.py HOSTS
"""

from __future__ import annotations

import asyncio
import sys

ETAG = '"never another"'
_HEAD = f"ETag: {ETAG}\r\nContent-Length: 0\r\n\r\n"
_NOT_MODIFIED = f"HTTP/1.1 304 Not Modified\r\n{_HEAD}".encode()
_UNEXPECTED = f"HTTP/1.1 500 Not Conditional\r\n{_HEAD}".encode()


class _Answering(asyncio.Protocol):
    count = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            _Answering.count += 1
            assert self._transport is not None
            is_conditional = ETAG.encode() in head
            self._transport.write(_NOT_MODIFIED if is_conditional else _UNEXPECTED)


async def main(host_count: int) -> None:
    loop = asyncio.get_running_loop()
    first = await loop.create_server(_Answering, host_of(0), 0)
    port = first.sockets[0].getsockname()[1]
    for number in range(1, host_count):
        await loop.create_server(_Answering, host_of(number), port)
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(_Answering.count, flush=True)


def host_of(number: int) -> str:
    return f"127.0.1.{number + 1}"


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
