"""How many requests without a proof may still pass on a route with old app versions: counted in each process.

A share is a share in each of them, so nothing is shared between processes.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bonafide.routes import Route

LEGACY_BURST: Final = 20.0
"""How many unproven requests a new process lets pass before it has seen a proven one."""

MAX_CREDIT: Final = 1000.0
"""How many unproven requests may follow at once after a time with proven ones only."""


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
