"""The script that this is all about: it knows every endpoint, has an account of its own, and is no app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from demonstration.servers import Server
    from demonstration.world import World

IDS_TRIED = 20


@dataclass(slots=True)
class Loot:
    """What the script came away with, and how its requests were answered."""

    answers: dict[str, int] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)
    orders: int = 0

    @property
    def everything(self) -> bool:
        """Whether every endpoint answered."""
        return set(self.answers.values()) == {httpx.codes.OK} and len(self.customers) > 1 and self.orders > 0

    @property
    def nothing(self) -> bool:
        """Whether none did."""
        return httpx.codes.OK not in self.answers.values() and not self.customers and not self.orders


def take(world: World, server: Server) -> Loot:
    """Ask for all there is, as any script can."""
    loot = Loot()
    mallory = {"username": "mallory", "password": world.passwords["mallory"]}
    with httpx.Client(base_url=server.origin, verify=world.trust, trust_env=False) as http:
        loot.answers["GET /api/config"] = http.get("/api/config").status_code
        login = http.post("/api/login", json=mallory)
        loot.answers["POST /api/login"] = login.status_code
        bearer = login.json().get("token", "none")
        http.headers["Authorization"] = f"Bearer {bearer}"
        loot.answers["GET /api/me"] = http.get("/api/me").status_code
        for number in range(1, IDS_TRIED + 1):
            found = http.get(f"/api/users/{number}")
            if found.is_success:
                loot.customers.append(found.json()["email"])
        placed = http.post("/api/orders", json={"item": "everything", "quantity": 100})
        loot.orders += placed.is_success
        listed = http.get("/api/orders")
        loot.answers["GET /api/orders"] = listed.status_code
    return loot
