"""Which addresses may be connected to: pure rules, asked about every single connection.

The rule is an explicit deny list, because ``ipaddress.is_private`` and ``is_global`` are both
wrong for some ranges (CGNAT is neither; NAT64 and 6to4 prefixes are "global" yet lead to an
embedded IPv4 address). Sources: the IANA special-purpose address registries for IPv4 and IPv6
(RFC 6890 and the RFC at each entry) and the IPv6 global unicast allocations (2000::/3).
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from synctables.errors import BlockedAddressError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DENIED_IPV4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this-network"),  # RFC 791; Linux connects 0.0.0.0 to itself
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "shared (CGNAT)"),  # RFC 6598; also Alibaba's metadata 100.100.100.200
        ("127.0.0.0/8", "loopback"),  # RFC 1122
        ("168.63.129.16/32", "metadata service"),  # Azure's host agent: a public address
        ("169.254.0.0/16", "link-local"),  # RFC 3927; metadata services of most clouds
        ("172.16.0.0/12", "private"),  # RFC 1918
        ("192.0.0.0/24", "reserved for protocols"),  # RFC 6890; Oracle's metadata 192.0.0.192
        ("192.0.2.0/24", "documentation"),  # RFC 5737
        ("192.31.196.0/24", "reserved for protocols"),  # AS112, RFC 7535
        ("192.52.193.0/24", "reserved for protocols"),  # AMT, RFC 7450
        ("192.88.99.0/24", "6to4 relay"),  # RFC 7526
        ("192.168.0.0/16", "private"),  # RFC 1918
        ("192.175.48.0/24", "reserved for protocols"),  # AS112, RFC 7534
        ("198.18.0.0/15", "benchmarking"),  # RFC 2544
        ("198.51.100.0/24", "documentation"),  # RFC 5737
        ("203.0.113.0/24", "documentation"),  # RFC 5737
        ("224.0.0.0/4", "multicast"),  # RFC 5771
        ("240.0.0.0/4", "reserved"),  # RFC 1112, broadcast (RFC 919) included
    )
)

_DENIED_IPV6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "unspecified"),  # RFC 4291; Linux connects :: to itself
        ("::1/128", "loopback"),  # RFC 4291
        ("::/96", "IPv4-compatible"),  # RFC 4291 section 2.5.5.1, deprecated
        ("::ffff:0:0:0/96", "IPv4-translated"),  # RFC 2765
        ("64:ff9b::/96", "NAT64"),  # RFC 6052
        ("64:ff9b:1::/48", "NAT64"),  # RFC 8215
        ("100::/64", "discard-only"),  # RFC 6666
        ("100:0:0:1::/64", "dummy"),  # RFC 9780
        ("2001::/32", "Teredo"),  # RFC 4380
        ("2001:2::/48", "benchmarking"),  # RFC 5180
        ("2001:10::/28", "ORCHID"),  # RFC 4843
        ("2001:20::/28", "ORCHID"),  # RFC 7343
        ("2001::/23", "reserved for protocols"),  # RFC 2928
        ("2001:db8::/32", "documentation"),  # RFC 3849
        ("2002::/16", "6to4"),  # RFC 3056
        ("3fff::/20", "documentation"),  # RFC 9637
        ("3ffe::/16", "reserved (6bone)"),  # RFC 3701
        ("2620:4f:8000::/48", "reserved for protocols"),  # AS112, RFC 7534
        ("5f00::/16", "segment routing"),  # RFC 9602
        ("fc00::/7", "private"),  # RFC 4193; metadata fd00:ec2::254 and fd20:ce::254
        ("fe80::/10", "link-local"),  # RFC 4291
        ("fec0::/10", "site-local"),  # RFC 3879
        ("ff00::/8", "multicast"),  # RFC 4291
    )
)

_GLOBAL_UNICAST_IPV6 = IPv6Network("2000::/3")

_IPV4_IN_LAST_BITS = tuple(
    IPv6Network(network) for network in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)


def check_address(address: Address, allowed: tuple[Network, ...]) -> None:
    """Raise `BlockedAddressError` unless the address is public or in a network that is allowed.

    An allowed IPv4 network also opens the IPv4-mapped form of its addresses. An allowed IPv6
    network that carries IPv4 addresses (NAT64, 6to4, Teredo) does not open private ones inside.
    """
    reason = blocked_reason(address, allowed)
    if reason:
        raise BlockedAddressError(f"{address} is not a public address: {reason}")


def blocked_reason(address: Address, allowed: tuple[Network, ...]) -> str | None:
    """The kind of range that keeps the address from being connected to; None: it may be."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        # The system connects these over IPv4, so only the embedded address counts.
        return None if _is_in(address, allowed) else blocked_reason(address.ipv4_mapped, allowed)
    if isinstance(address, IPv4Address):
        return None if _is_in(address, allowed) else _denied_ipv4(address)
    if not _is_in(address, allowed):
        return _denied_ipv6(address)
    reasons = (blocked_reason(one, allowed) for one in _embedded(address))
    return next((reason for reason in reasons if reason), None)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _denied_ipv4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _DENIED_IPV4 if address in network), None)


def _denied_ipv6(address: IPv6Address) -> str | None:
    for network, reason in _DENIED_IPV6:
        if address in network:
            return reason
    return None if address in _GLOBAL_UNICAST_IPV6 else "not allocated"


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a packet to this address ends at, by the RFC of its range."""
    if address.is_loopback or address.is_unspecified:
        return ()
    if any(address in network for network in _IPV4_IN_LAST_BITS):
        return (ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF),)
    if address.sixtofour:
        return (address.sixtofour,)
    return address.teredo or ()
