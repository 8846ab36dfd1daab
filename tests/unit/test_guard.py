"""The address guard: every range by name, and what an operator's allowance opens."""

from __future__ import annotations

import ipaddress

import pytest

from synctables.datasources.guard import Network, blocked_reason, check_address
from synctables.errors import BlockedAddressError

BLOCKED = [
    ("0.0.0.0", "this-network"),
    ("0.255.255.255", "this-network"),
    ("10.0.0.1", "private"),
    ("10.255.255.255", "private"),
    ("100.64.0.1", "shared (CGNAT)"),
    ("100.100.100.200", "shared (CGNAT)"),
    ("100.127.255.255", "shared (CGNAT)"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("168.63.129.16", "metadata service"),
    ("169.254.0.1", "link-local"),
    ("169.254.169.254", "link-local"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.0.0.1", "reserved for protocols"),
    ("192.0.0.192", "reserved for protocols"),
    ("192.0.2.1", "documentation"),
    ("192.31.196.1", "reserved for protocols"),
    ("192.52.193.1", "reserved for protocols"),
    ("192.88.99.1", "6to4 relay"),
    ("192.168.1.1", "private"),
    ("192.175.48.1", "reserved for protocols"),
    ("198.18.0.1", "benchmarking"),
    ("198.19.255.255", "benchmarking"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("::127.0.0.1", "IPv4-compatible"),
    ("::8.8.8.8", "IPv4-compatible"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:0.0.0.0", "this-network"),
    ("::ffff:0:127.0.0.1", "IPv4-translated"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"),
    ("64:ff9b::127.0.0.1", "NAT64"),
    ("64:ff9b::8.8.8.8", "NAT64"),
    ("64:ff9b:1::10.0.0.1", "NAT64"),
    ("100::1", "discard-only"),
    ("100:0:0:1::1", "dummy"),
    ("2001::1", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("2001:2::1", "benchmarking"),
    ("2001:10::1", "ORCHID"),
    ("2001:20::1", "ORCHID"),
    ("2001:1ff::1", "reserved for protocols"),
    ("2001:db8::1", "documentation"),
    ("2002:7f00:1::1", "6to4"),
    ("2002:808:808::1", "6to4"),
    ("3fff::1", "documentation"),
    ("3ffe::1", "reserved (6bone)"),
    ("2620:4f:8000::1", "reserved for protocols"),
    ("5f00::1", "segment routing"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "private"),
    ("fd20:ce::254", "private"),
    ("fe80::1", "link-local"),
    ("fe80::1%1", "link-local"),
    ("febf::1", "link-local"),
    ("fec0::1", "site-local"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast"),
    ("200::1", "not allocated"),
    ("4000::1", "not allocated"),
    ("e000::1", "not allocated"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
]

ALLOWANCES = [
    ("127.0.0.1", "127.0.0.0/8", None),
    ("::ffff:127.0.0.1", "127.0.0.0/8", None),
    ("::ffff:127.0.0.1", "::ffff:7f00:0/104", None),
    ("::1", "127.0.0.0/8", "loopback"),
    ("::1", "::1/128", None),
    ("::", "::/128", None),
    ("0.0.0.0", "127.0.0.0/8", "this-network"),
    ("10.1.2.3", "10.1.0.0/16", None),
    ("10.2.2.3", "10.1.0.0/16", "private"),
    ("fd12::1", "fd12::/16", None),
    ("64:ff9b::8.8.8.8", "64:ff9b::/96", None),
    ("64:ff9b::10.0.0.1", "64:ff9b::/96", "private"),
    ("64:ff9b::10.0.0.1", "64:ff9b::/96,10.0.0.0/8", None),
    ("64:ff9b::10.0.0.1", "10.0.0.0/8", "NAT64"),
    ("2002:7f00:1::1", "2002::/16", "loopback"),
    ("2002:808:808::1", "2002::/16", None),
    ("2001:0:4136:e378:8000:63bf:80ff:fffe", "2001::/32", "loopback"),
    ("::10.0.0.1", "::/96", "private"),
    ("1.1.1.1", "10.0.0.0/8", None),
]


@pytest.mark.parametrize(("address", "reason"), BLOCKED)
def test_reserved_addresses_are_blocked_with_their_reason(address: str, reason: str) -> None:
    assert blocked_reason(ipaddress.ip_address(address), ()) == reason
    with pytest.raises(BlockedAddressError, match="not a public address"):
        check_address(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    check_address(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(("address", "allowed", "reason"), ALLOWANCES)
def test_an_allowance_opens_its_range_and_nothing_behind_it(
    address: str, allowed: str, reason: str | None
) -> None:
    networks: tuple[Network, ...] = tuple(ipaddress.ip_network(one) for one in allowed.split(","))
    assert blocked_reason(ipaddress.ip_address(address), networks) == reason
