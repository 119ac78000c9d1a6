"""One App Attest verification, against the one P-384 signature that nobody can avoid."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench._rounds import compare, interleave, report
from bonafide.evidence.app_attest import KnownIntermediates, verify_assertion, verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple, derive_key
from bonafide.testing.secure_enclave import SecureEnclave

if TYPE_CHECKING:
    from collections.abc import Callable

APP_ID = "TEAM123456.com.example.shop"
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CALLS = 200


def run() -> bool:
    """Measure, print, and tell whether every promise holds."""
    apple = FakeApple()
    phone = SecureEnclave(apple, app_id=APP_ID, ios="27.0")
    key_id = phone.generate_key()
    digest = hashlib.sha256(b"client data").digest()
    attestation = phone.attest_key(key_id, digest, now=NOW)
    assertion = phone.generate_assertion(key_id, digest)
    known = KnownIntermediates()

    def attest(intermediates: KnownIntermediates | None) -> object:
        return verify_attestation(
            attestation,
            client_data_hash=digest,
            key_id=base64.b64decode(key_id),
            app_id=APP_ID,
            environments=frozenset([EvidenceEnvironment.PRODUCTION]),
            anchors=apple.anchors,
            now=NOW,
            known_intermediates=intermediates,
        )

    def assert_() -> object:
        return verify_assertion(
            assertion, client_data_hash=digest, public_key=phone.public_key(key_id), app_id=APP_ID, last_counter=0
        )

    p384, p256 = _verifying(ec.SECP384R1()), _verifying(ec.SECP256R1())
    raw, short = "P-384 verify (cryptography)", "P-256 verify (cryptography)"
    costs = interleave(
        {
            raw: p384,
            short: p256,
            "attestation, known intermediate": lambda: attest(known),
            "attestation, new intermediate": lambda: attest(None),
            "assertion": assert_,
        },
        calls=CALLS,
    )
    return report(
        "evidence",
        [
            compare(costs, raw, versus=short),
            compare(costs, "attestation, known intermediate", versus=raw, at_most=1.3),
            compare(costs, "attestation, new intermediate", versus=raw),
            compare(costs, "assertion", versus=short),
        ],
    )


def _verifying(curve: ec.EllipticCurve) -> Callable[[], None]:
    key = derive_key(b"bench", "signature", curve)
    message, algorithm = bytes(800), ec.ECDSA(hashes.SHA256())
    signature, public = key.sign(message, algorithm), key.public_key()
    return lambda: public.verify(signature, message, algorithm)
