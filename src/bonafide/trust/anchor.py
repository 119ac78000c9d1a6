"""One trust anchor as a value that cannot lie about itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec.der import read_names
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Iterable

A_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A self-signed P-384 root certificate that an operator decided to trust.

    `sha256` and `spki_sha256` are lower-case hex digests of the certificate and of its
    SubjectPublicKeyInfo. Construction recomputes both, compares `not_after` and verifies the
    self-signature, so a certificate that only looks like a known root (same name, same key, other
    octets) cannot be one. Raises `ConfigurationError` (`configuration.anchor_malformed`).
    """

    name: str
    certificate_der: bytes
    sha256: str
    spki_sha256: str
    not_after: datetime
    source: str
    certificate: x509.Certificate = field(init=False, repr=False, compare=False)
    public_key: ec.EllipticCurvePublicKey = field(init=False, repr=False, compare=False)
    subject: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        certificate, public_key = _load(self.name, self.certificate_der)
        spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        stated = (self.sha256, self.spki_sha256, self.not_after)
        found = (
            hashlib.sha256(self.certificate_der).hexdigest(),
            hashlib.sha256(spki).hexdigest(),
            certificate.not_valid_after_utc,
        )
        if stated != found:
            raise ConfigurationError(
                reasons.ANCHOR_MALFORMED, f"{self.name}: digests or end differ from what is stated"
            )
        object.__setattr__(self, "certificate", certificate)
        object.__setattr__(self, "public_key", public_key)
        object.__setattr__(self, "subject", read_names(self.certificate_der).subject)

    @classmethod
    def from_certificate(cls, certificate_der: bytes, *, name: str, source: str) -> Anchor:
        """Describe a root certificate that the caller already trusts. Raises as the class."""
        certificate, public_key = _load(name, certificate_der)
        spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(
            name=name,
            certificate_der=certificate_der,
            sha256=hashlib.sha256(certificate_der).hexdigest(),
            spki_sha256=hashlib.sha256(spki).hexdigest(),
            not_after=certificate.not_valid_after_utc,
            source=source,
        )


def _load(name: str, der: bytes) -> tuple[x509.Certificate, ec.EllipticCurvePublicKey]:
    try:
        certificate = x509.load_der_x509_certificate(der)
        public_key = certificate.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm):
        raise ConfigurationError(reasons.ANCHOR_MALFORMED, f"{name}: not a certificate") from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP384R1):
        raise ConfigurationError(reasons.ANCHOR_MALFORMED, f"{name}: not a P-384 key")
    try:
        public_key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise ConfigurationError(reasons.ANCHOR_MALFORMED, f"{name}: not signed by itself with SHA-384") from None
    return certificate, public_key


def expiring(anchors: Iterable[Anchor], *, now: datetime, within: timedelta = A_YEAR) -> tuple[Anchor, ...]:
    """Return the anchors that end within `within` of `now`, or have ended; a system check warns of them."""
    return tuple(anchor for anchor in anchors if anchor.not_after - now <= within)


def require_bundled(anchors: Iterable[Anchor], *, bundled: Iterable[Anchor]) -> None:
    """Refuse anchors that are not among `bundled`, for a production configuration.

    Raises `ConfigurationError` (`configuration.test_trust`) naming the first.
    """
    known = {anchor.sha256 for anchor in bundled}
    for anchor in anchors:
        if anchor.sha256 not in known:
            raise ConfigurationError(reasons.TEST_TRUST, f"trust anchor {anchor.name!r}")
