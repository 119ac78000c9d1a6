"""What a gate remembers between requests: client attestations that verified, and what follows from them.

Rule of this file: verified signatures are remembered and never verdicts. Expiry, bans and route policy are looked at
for every request, by `admission`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.client_attestation import ClientAttestation

MAX_KNOWN_ATTESTATIONS: Final = 65_536
"""How many verified client attestations one process remembers (3 KiB each, 5 with a hardware key)."""


_FORGOTTEN_FOR_EACH: Final = 2


@dataclass(slots=True)
class KnownAttestation:
    """A client attestation whose signature and claims held, with what follows from them."""

    claims: ClientAttestation
    expires: float
    jkt: str
    key: ec.EllipticCurvePublicKey | None = None
    mac_key: bytes | None = field(default=None, repr=False)
    seal_response_key: bytes | None = field(default=None, repr=False)


class AttestationMemory:
    """Verified client attestations by the digest of their text, until they expire. Bounded; oldest out.

    They expire about in the order in which they came, so that those which did are found at the front.
    """

    def __init__(self, max_entries: int = MAX_KNOWN_ATTESTATIONS) -> None:
        """Remember at most `max_entries`; only what our own service issued can take a place."""
        self._max_entries = max_entries
        self._known: dict[bytes, KnownAttestation] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, digest: bytes) -> KnownAttestation | None:
        """Return what was verified under this digest, be it expired or not."""
        return self._known.get(digest)

    def keep(self, digest: bytes, known: KnownAttestation, moment: float) -> None:
        """Remember a verified attestation, in place of the one remembered longest if there is no room.

        `moment` is now, in seconds since the epoch: two that have expired by then make way for this one.
        """
        for _ in range(_FORGOTTEN_FOR_EACH):
            oldest = self._oldest()
            first = self._known.get(oldest)
            if first is None or moment < first.expires:
                break
            self._known.pop(oldest, None)
        while len(self._known) >= self._max_entries and (oldest := self._oldest()):
            self._known.pop(oldest, None)
        self._known[digest] = known

    def _oldest(self) -> bytes:
        """Return the first key; b"" where there is none, or another thread has just changed what there is."""
        try:
            return next(iter(self._known), b"")
        except RuntimeError:  # that thread, or the next one that keeps something, forgets for this one as well
            return b""

    def forget(self, digest: bytes) -> None:
        """Drop an attestation that has expired."""
        self._known.pop(digest, None)
