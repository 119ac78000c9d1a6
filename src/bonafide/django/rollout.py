"""Turning enforcement on by degrees: which requests a rehearsal enforces, and how many unproven ones pass.

Rules of this file: a bucket is an HMAC, so nobody can choose theirs without a place to send from; what is
counted is counted per process, because a share is a share in each of them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from bonafide.routes import Route

LEGACY_BURST: Final = 20.0
"""How many unproven requests a new process lets pass before it has seen a proven one."""

MAX_CREDIT: Final = 1000.0
"""How many unproven requests may follow at once after a time with proven ones only."""

_BUCKETS: Final = 2**32


def is_enforced(route: Route, *, instance: str | None, network: str) -> bool:
    """Tell whether a refusal on this route takes effect for whoever sent the request.

    The bucket is that of the proven instance, else of the client's network, so that one client sees one
    behaviour. A share is a rehearsal: it protects nothing yet.
    """
    share = route.enforced_share
    if share <= 0 or share >= 1:
        return share >= 1
    who = f"instance {instance}" if instance else f"network {network}"
    digest = salted_hmac("bonafide.rollout", who, algorithm="sha256").digest()
    return int.from_bytes(digest[:4], "big") < share * _BUCKETS


class LegacyMeter:
    """Holds unproven requests to `legacy.max_share` of a route's traffic, in this process.

    Each proven request earns share / (1 - share) unproven ones; what a refused one asked for is not counted.
    So no flood of unproven requests can make room for itself. It can take the room of honest old apps.
    """

    def __init__(self) -> None:
        self._credit: dict[Route, float] = {}
        self._lock = threading.Lock()

    def proven(self, route: Route) -> None:
        """Count a request with a proof."""
        if route.legacy is None or route.legacy.max_share >= 1:
            return
        earned = route.legacy.max_share / (1 - route.legacy.max_share)
        with self._lock:
            self._credit[route] = min(MAX_CREDIT, self._credit.get(route, LEGACY_BURST) + earned)

    def admits(self, route: Route) -> bool:
        """Take a place for a request without a proof; False where the share is used up."""
        if route.legacy is None:
            return False
        if route.legacy.max_share >= 1:
            return True
        with self._lock:
            credit = self._credit.get(route, LEGACY_BURST)
            if credit < 1:
                return False
            self._credit[route] = credit - 1
            return True
