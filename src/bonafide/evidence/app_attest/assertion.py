"""Verify an App Attest assertion: Apple's steps, in Apple's order.

Apple, "Validating apps that connect to your server", section "Verify the assertion".
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import cbor
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.evidence.app_attest.authenticator_data import AssertedData, hash_rp_id, parse_asserted
from bonafide.evidence.app_attest.claims import AssertionClaims
from bonafide.reasons import app_assertion as reasons
from bonafide.reasons import misuse

MAX_ASSERTION_BYTES: Final = 2048
"""Genuine objects have 140 to 300 octets."""

_POINT_BYTES: Final = 65


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionEvidence:
    """An assertion object, parsed; nothing in it is proven."""

    signature: bytes
    auth_data_raw: bytes
    auth_data: AssertedData


def parse_assertion(assertion: bytes) -> AssertionEvidence:
    """Parse the CBOR object that `generateAssertion` returned.

    Raises `MalformedEvidence`: `cbor.*`, `app_assertion.object_malformed`, `.auth_data_malformed`,
    `.extensions_malformed`.
    """
    envelope = cbor.parse(assertion, max_bytes=MAX_ASSERTION_BYTES)
    if not isinstance(envelope, dict) or envelope.keys() != {"signature", "authenticatorData"}:
        raise MalformedEvidence(reasons.OBJECT_MALFORMED, "not exactly signature and authenticatorData")
    signature, auth_data = envelope["signature"], envelope["authenticatorData"]
    if not isinstance(signature, bytes) or not isinstance(auth_data, bytes):
        raise MalformedEvidence(reasons.OBJECT_MALFORMED, "a member is not a byte string")
    return AssertionEvidence(signature=signature, auth_data_raw=auth_data, auth_data=parse_asserted(auth_data))


def verify_assertion(
    assertion: bytes,
    *,
    client_data_hash: bytes,
    public_key: bytes,
    app_id: str,
    last_counter: int,
) -> AssertionClaims:
    """Prove that the attested key signed this client data hash in the app `app_id`, for the first time.

    `client_data_hash` is taken as given, at any length but 0. `public_key` is X9.63 (65 octets), as
    verifying the attestation returned it; `last_counter` the counter last accepted, 0 after enrolment.

    Does not prove that the challenge in the client data is fresh and unspent, nor that no other process
    accepts the same assertion at this moment: store the counter by one conditional UPDATE.

    Raises `MalformedEvidence` as `parse_assertion`; `VerificationFailed`
    (`app_assertion.public_key_malformed`, `.signature_invalid`, `.app_id_mismatch`,
    `.counter_not_increased`); `Misuse` for an empty `client_data_hash`.
    """
    if not client_data_hash:
        raise Misuse(misuse.CLIENT_DATA_HASH_EMPTY)
    evidence = parse_assertion(assertion)
    key = _load_public_key(public_key)
    # Steps 1 and 2: nonce = SHA-256(authenticatorData || clientDataHash).
    nonce = hashlib.sha256(evidence.auth_data_raw + client_data_hash).digest()
    # Step 3: the signature is over the nonce, which ECDSA hashes once more.
    try:
        key.verify(evidence.signature, nonce, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise VerificationFailed(reasons.SIGNATURE_INVALID) from None
    # Step 4: the RP ID is the app.
    if not hmac.compare_digest(hash_rp_id(app_id), evidence.auth_data.rp_id_hash):
        raise VerificationFailed(reasons.APP_ID_MISMATCH)
    # Step 5: the counter has risen.
    counter = evidence.auth_data.counter
    if counter <= last_counter:
        raise VerificationFailed(reasons.COUNTER_NOT_INCREASED, f"{counter} after {last_counter}")
    # Step 6, the challenge in the client data, is the caller's: only it knows the client data.
    return AssertionClaims(app_id=app_id, counter=counter, launch=evidence.auth_data.launch)


def _load_public_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    if len(public_key) != _POINT_BYTES:
        raise VerificationFailed(reasons.PUBLIC_KEY_MALFORMED, f"{len(public_key)} octets")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
    except ValueError:
        raise VerificationFailed(reasons.PUBLIC_KEY_MALFORMED, "not a point on P-256") from None
