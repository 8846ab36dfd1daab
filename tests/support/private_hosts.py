"""Hosts that lead into networks nobody may fetch from, in every spelling that some program reads.

``HOSTS`` is the table: those below, one by one, and each of ``ADDRESSES`` in the forms that
`spellings_of` knows. What they have in common: not one may be connected to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

_BY_NAME = (
    *("localhost", "LOCALHOST", "LocalHost", "localhost.", "localhost..", "ip6-localhost"),
    *(
        "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
        "local\u00adhost",
        "l\uff4fcalhost",
    ),
    *("localhost%00", "localhost%2e", "%6cocalhost", "localhost:80@127.0.0.1", "x@localhost"),
)
_IPV4 = (
    *("127.0.1", "127.1", "127.255.255.254", "02130706433", "0X7F000001", "0x7f.1", "0177.0x0.1"),
    *("127.0.0.01", "00000177.1", "0x0000007f.1", "127.0.0.1%2e", "127%2e0%2e0%2e1", "127.0.0.1.."),
    *("\u2460\u2461\u2466.0.0.1", "0x100000000", "4294967297", "127.0.0.0x1", "127.0.0.1%09"),
    *("0", "0x0", "00", "0.0", "0x", "0.0.0.0.", "127.0.0.1.0x7f", "127..1", "1.127.0.0.1."),
    *(
        "0251.0376.0251.0376",
        "169.254.43518",
        "0xa9.0xfe.43518",
        "10.1",
        "192.168.257",
        "172.1048577",
    ),
    *("168.63.129.16", "192.0.0.192", "192.0.0.170", "192.88.99.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "100.64.0.1", "100.127.255.255"),
    *("127.0.0.1\uff0f", "127.0.0.1\u2044", "127\uff61\u0030.0.1", "\u0661\u0662\u0667.0.0.1"),
)
_IPV6 = (
    *("[::]", "[0000::]", "[::0.0.0.0]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[::1%25lo]"),
    *("[0000:0000:0000:0000:0000:0000:0000:0001]", "[::1%lo]", "[::1%1]", "[0::1]", "[::1]."),
    *("[::ffff:0.0.0.0]", "[::ffff:0:0]", "[64:ff9b:1::7f00:1]", "[fe80::5efe:127.0.0.1]"),
    *("[fd00:ec2::254]", "[fd20:ce::254]", "[fc00::1]", "[fe80::1]", "[fe80::a9fe:a9fe]"),
    *("[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[100::1]", "[2001:db8::1]"),
    *(
        "[2001::1]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[3fff::1]",
        "[5f00::1]",
        "[200::1]",
        "[4000::1]",
    ),
    *("[v1.::1]", "[[::1]]", "::1", "[::1", "[127.0.0.1]", "[::127.0.0.1%25lo]"),
)
ADDRESSES = (
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200"),
    "0.0.0.0",
)


def spellings_of(address: str) -> Iterator[str]:
    """An IPv4 address as `inet_aton` reads it, as IDNA does, and inside IPv6 addresses."""
    number = int(ipaddress.IPv4Address(address))
    parts = [number >> shift & 255 for shift in (24, 16, 8, 0)]
    first, second, third, fourth = parts
    low, high = number & 0xFFFF, number >> 16
    yield from (address, f"{address}.", str(number), hex(number), f"0{number:o}")
    yield ".".join(map(hex, parts))
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(f"{part:03d}" for part in parts)
    yield f"{first}.{second}.{low}"
    yield f"{first}.{number & 0xFF_FFFF}"
    yield f"{first:#x}.{second}.0{third:o}.{fourth:#x}"
    yield address.replace(".", "\u3002")
    yield address.replace(".", "\uff0e")
    yield address.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    yield from (f"[::ffff:{address}]", f"[::ffff:{high:x}:{low:x}]", f"[::{address}]")
    yield from (f"[0:0:0:0:0:FFFF:{address}]", f"[::ffff:0:{address}]", f"[64:ff9b::{address}]")
    yield from (f"[2002:{high:x}:{low:x}::1]", f"[2001:0:{high:x}:{low:x}::1]")
    yield f"[2001:0:808:808::{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}]"


HOSTS = tuple(
    dict.fromkeys(
        (
            *(*_BY_NAME, *_IPV4, *_IPV6),
            *(spelling for address in ADDRESSES for spelling in spellings_of(address)),
        )
    )
)
