"""Turning enforcement on by degrees, for this project: the ramp under a key that follows from SECRET_KEY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.crypto import salted_hmac

from bonafide.routes import ramp

if TYPE_CHECKING:
    from bonafide.routes import Route


def ramp_key() -> bytes:
    """Return the key of the ramp's buckets in this project, 32 octets: the same on all its hosts."""
    return salted_hmac("bonafide.rollout", "ramp", algorithm="sha256").digest()


def is_enforced(route: Route, *, instance: str | None, network: str) -> bool:
    """Tell whether a refusal on this route takes effect for whoever sent the request (`routes.ramp`)."""
    return ramp.is_enforced(route, instance=instance, network=network, key=ramp_key())
