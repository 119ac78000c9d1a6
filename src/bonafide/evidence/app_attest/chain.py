"""The certificate chain of an attestation: leaf, intermediate, pinned anchor.

RFC 5280 section 6.1 for the one chain that Apple issues: exactly two certificates arrive, the third is
an anchor given by the caller. No name but the anchors' is trusted, no store of the operating system is
asked, no revocation is looked up: Apple publishes none for these certificates.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import SignatureAlgorithmOID

from bonafide.codec import der
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.reasons import app_attest as reasons

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bonafide.trust import Anchor

NONCE: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.2")
KEY_ACCESS_CONDITIONS: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.6")
OS_INFORMATION: Final = x509.ObjectIdentifier("1.2.840.113635.100.8.7")

_SIGNATURE_ALGORITHMS: Final = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: ec.ECDSA(hashes.SHA256()),
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: ec.ECDSA(hashes.SHA384()),
}

# All that the library was seen to raise for octets that are no certificate: by an empty list of TLS features
# TypeError, by names that nobody uses UnsupportedGeneralNameType, by a serial number below 1 its warning,
# where warnings are errors.
_MALFORMED: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    CryptographyDeprecationWarning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of `x5c`, parsed with its extensions; nothing in it is proven. `place` is for details."""

    place: str
    certificate: x509.Certificate
    names: der.Names
    extensions: x509.Extensions
    public_key: ec.EllipticCurvePublicKey

    def read_octets(self, oid: x509.ObjectIdentifier) -> bytes | None:
        """Return the value of one of Apple's own extensions, or None."""
        for extension in self.extensions:
            if extension.oid == oid and isinstance(extension.value, x509.UnrecognizedExtension):
                return extension.value.value
        return None

    def encode_point(self) -> bytes:
        """Return the public key as X9.63: 65 octets on P-256."""
        return self.public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def parse_certificate(octets: bytes, *, place: str) -> Certificate:
    """Parse a certificate with an elliptic-curve key.

    Raises `MalformedEvidence` (`app_attest.certificate_malformed`).
    """
    try:
        names = der.read_names(octets)
        certificate = x509.load_der_x509_certificate(octets)
        extensions = certificate.extensions
        public_key = certificate.public_key()
    except (*_MALFORMED, MalformedEvidence):
        raise MalformedEvidence(reasons.CERTIFICATE_MALFORMED, place) from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise MalformedEvidence(reasons.CERTIFICATE_MALFORMED, f"{place}: not an elliptic-curve key")
    return Certificate(place=place, certificate=certificate, names=names, extensions=extensions, public_key=public_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intermediate:
    """An intermediate certificate that chains to an anchor: proven but for its dates, which `now` decides."""

    sha256: bytes
    subject: bytes
    public_key: ec.EllipticCurvePublicKey
    not_before: datetime
    not_after: datetime
    anchor_sha256: str


class KnownIntermediates:
    """Remembers intermediates that were verified, by the digest of their octets.

    The next chain then costs one signature instead of two; Apple has used one intermediate since 2020.
    Safe to share between threads. Entries under an anchor that is no longer given are not used, and
    dates are judged at every use.
    """

    def __init__(self, *, max_entries: int = 16) -> None:
        """Keep the `max_entries` that were proven last."""
        self._max_entries = max_entries
        self._entries: dict[bytes, Intermediate] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def recall(self, sha256: bytes, anchors: Sequence[Anchor]) -> Intermediate | None:
        """Return the intermediate of this digest if one of `anchors` vouched for it."""
        known = self._entries.get(sha256)
        if known is not None and any(anchor.sha256 == known.anchor_sha256 for anchor in anchors):
            return known
        return None

    def remember(self, intermediate: Intermediate) -> None:
        """Keep an intermediate that `verify_chain` proved."""
        # A new dict instead of a changed one: threads that read or write meanwhile lose an entry at worst.
        entries = {**self._entries, intermediate.sha256: intermediate}
        surplus = max(0, len(entries) - self._max_entries)
        self._entries = dict(list(entries.items())[surplus:])


def verify_chain(
    leaf: Certificate,
    intermediate_der: bytes,
    *,
    anchors: Sequence[Anchor],
    now: datetime,
    known: KnownIntermediates | None,
) -> None:
    """Prove that the leaf was issued under one of `anchors` and that the chain is valid at `now`.

    Raises `MalformedEvidence` (`app_attest.certificate_malformed`) or `VerificationFailed`
    (`app_attest.certificate_profile`, `.root_unknown`, `.intermediate_signature_invalid`,
    `.issuer_mismatch`, `.certificate_not_yet_valid`, `.certificate_expired`, `.leaf_signature_invalid`).
    """
    _refuse_leaf_profile(leaf)
    sha256 = hashlib.sha256(intermediate_der).digest()
    intermediate = known.recall(sha256, anchors) if known is not None else None
    if intermediate is None:
        intermediate = _verify_intermediate(intermediate_der, sha256=sha256, anchors=anchors)
        if known is not None:
            known.remember(intermediate)
    if leaf.names.issuer != intermediate.subject:
        raise VerificationFailed(reasons.ISSUER_MISMATCH)
    anchor = next(anchor for anchor in anchors if anchor.sha256 == intermediate.anchor_sha256)
    _refuse_outside_validity("anchor", anchor.certificate.not_valid_before_utc, anchor.not_after, now)
    _refuse_outside_validity("intermediate", intermediate.not_before, intermediate.not_after, now)
    _refuse_outside_validity("leaf", leaf.certificate.not_valid_before_utc, leaf.certificate.not_valid_after_utc, now)
    if not _is_signed_by(leaf.certificate, intermediate.public_key):
        raise VerificationFailed(reasons.LEAF_SIGNATURE_INVALID)


def _verify_intermediate(octets: bytes, *, sha256: bytes, anchors: Sequence[Anchor]) -> Intermediate:
    intermediate = parse_certificate(octets, place="intermediate")
    _refuse_intermediate_profile(intermediate)
    certificate = intermediate.certificate
    named = [anchor for anchor in anchors if anchor.subject == intermediate.names.issuer]
    if not named:
        raise VerificationFailed(reasons.ROOT_UNKNOWN)
    for anchor in named:
        if _is_signed_by(certificate, anchor.public_key):
            return Intermediate(
                sha256=sha256,
                subject=intermediate.names.subject,
                public_key=intermediate.public_key,
                not_before=certificate.not_valid_before_utc,
                not_after=certificate.not_valid_after_utc,
                anchor_sha256=anchor.sha256,
            )
    raise VerificationFailed(reasons.INTERMEDIATE_SIGNATURE_INVALID)


def _refuse_leaf_profile(leaf: Certificate) -> None:
    """An end entity that may sign, on P-256 (RFC 5280 sections 4.2.1.3 and 4.2.1.9)."""
    if not isinstance(leaf.public_key.curve, ec.SECP256R1):
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "leaf: not on P-256")
    constraints, usage = _read_constraints(leaf)
    if constraints is None or constraints.ca:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "leaf: not marked as an end entity")
    if usage is None or not usage.digital_signature or usage.key_cert_sign:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "leaf: key usage")
    _refuse_signature_algorithm(leaf)


def _refuse_intermediate_profile(intermediate: Certificate) -> None:
    """An authority that signs certificates, with no further authority below it, on P-384."""
    if not isinstance(intermediate.public_key.curve, ec.SECP384R1):
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "intermediate: not on P-384")
    constraints, usage = _read_constraints(intermediate)
    if constraints is None or not constraints.ca:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "intermediate: not an authority")
    if constraints.path_length != 0:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "intermediate: path length is not 0")
    if usage is None or not usage.key_cert_sign:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, "intermediate: key usage")
    _refuse_signature_algorithm(intermediate)


def _refuse_signature_algorithm(certificate: Certificate) -> None:
    if certificate.certificate.signature_algorithm_oid not in _SIGNATURE_ALGORITHMS:
        raise VerificationFailed(reasons.CERTIFICATE_PROFILE, f"{certificate.place}: signature algorithm")


def _read_constraints(certificate: Certificate) -> tuple[x509.BasicConstraints | None, x509.KeyUsage | None]:
    """Return basic constraints and key usage; every other critical extension is a refusal (RFC 5280 section 4.2)."""
    constraints = usage = None
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            constraints = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif extension.critical:
            raise VerificationFailed(
                reasons.CERTIFICATE_PROFILE, f"{certificate.place}: critical {extension.oid.dotted_string}"
            )
    return constraints, usage


def _refuse_outside_validity(place: str, not_before: datetime, not_after: datetime, now: datetime) -> None:
    """Both ends are inside (RFC 5280 section 4.1.2.5)."""
    if now < not_before:
        raise VerificationFailed(reasons.CERTIFICATE_NOT_YET_VALID, f"{place}, from {not_before.isoformat()}")
    if now > not_after:
        raise VerificationFailed(reasons.CERTIFICATE_EXPIRED, f"{place}, until {not_after.isoformat()}")


def _is_signed_by(certificate: x509.Certificate, public_key: ec.EllipticCurvePublicKey) -> bool:
    algorithm = _SIGNATURE_ALGORITHMS[certificate.signature_algorithm_oid]
    try:
        public_key.verify(certificate.signature, certificate.tbs_certificate_bytes, algorithm)
    except InvalidSignature:
        return False
    return True
