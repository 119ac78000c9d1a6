"""Which refusals take effect while a route is being turned on by degrees (PROTOCOL section 6).

A bucket is an HMAC under a key that all gates and API hosts share, so nobody can choose theirs without a place
to send from, and one client meets one behaviour wherever it is judged.
"""

from __future__ import annotations

import hmac
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bonafide.routes.table import Route

KEY_OCTETS: Final = 32

_BUCKETS: Final = 2**32


def is_enforced(route: Route, *, instance: str | None, network: str, key: bytes) -> bool:
    """Tell whether a refusal on this route takes effect for whoever sent the request.

    The bucket is that of the proven instance, else of the client's network, so that one client sees one
    behaviour. `key` is the ramp key, 32 octets. A share is a rehearsal: it protects nothing yet.
    """
    share = route.enforced_share
    if share <= 0 or share >= 1:
        return share >= 1
    who = f"instance {instance}" if instance else f"network {network}"
    return int.from_bytes(hmac.digest(key, who.encode("utf-8", "surrogatepass"), "sha256")[:4]) < share * _BUCKETS


def network_of(address: str) -> str:
    """Return the network that shares a limit: an IPv4 address, an IPv6 /64. What is no address is one network."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((int(parsed), 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
