"""A service key, a device and the question that it asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.documents import Addressee, Validity
from bonafide.keys import ServiceKey

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
AGREE = ec.derive_private_key(301, ec.SECP256R1())
SERVICE = ServiceKey.of(ec.derive_private_key(302, ec.SECP256R1()))
PINNED = frozenset([SERVICE.kid])
ADDRESSEE = Addressee(app="shop", instance="instance-1", jkt="a" * 43, question="q" * 43)
VALIDITY = Validity(version=3, issued_at=NOON, expires_at=NOON + timedelta(hours=1))


def random(count: int) -> bytes:
    """Return octets that are the same each time."""
    return sha256(b"octets").digest()[:12] if count == 12 else bytes(range(1, count + 1))
