"""Verify an App Attest attestation: Apple's nine steps, and the order they are taken in.

Apple, "Validating apps that connect to your server", section "Verify the attestation". Everything that
costs only a hash comes first, the two signatures of the chain come last, so that evidence made up
without Apple is refused before it costs anything.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bonafide.codec import cbor, der
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.evidence.app_attest import chain
from bonafide.evidence.app_attest.authenticator_data import AttestedData, hash_rp_id, parse_attested
from bonafide.evidence.app_attest.claims import AppAttestClaims
from bonafide.reasons import app_attest as reasons
from bonafide.reasons import misuse
from bonafide.terms import EvidenceEnvironment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from bonafide.trust import Anchor

FORMAT: Final = "apple-appattest"
MAX_ATTESTATION_BYTES: Final = 32 * 1024
"""Genuine objects have 5 to 6 KiB, two thirds of it the receipt."""

_AAGUIDS: Final = {
    b"appattest\x00\x00\x00\x00\x00\x00\x00": EvidenceEnvironment.PRODUCTION,
    b"appattestdevelop": EvidenceEnvironment.DEVELOPMENT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationEvidence:
    """An attestation object, parsed; nothing in it is proven."""

    leaf: chain.Certificate
    intermediate_der: bytes
    receipt: bytes
    auth_data_raw: bytes
    auth_data: AttestedData


def parse_attestation(attestation: bytes) -> AttestationEvidence:
    """Parse the CBOR object that `attestKey` returned.

    Raises `MalformedEvidence`: `cbor.*`, `app_attest.object_malformed`, `.format_mismatch`,
    `.chain_length`, `.certificate_malformed`, `.auth_data_malformed`, `.cose_key_malformed`,
    `.extensions_malformed`.
    """
    envelope = cbor.parse(attestation, max_bytes=MAX_ATTESTATION_BYTES)
    if not isinstance(envelope, dict) or envelope.keys() != {"fmt", "attStmt", "authData"}:
        raise MalformedEvidence(reasons.OBJECT_MALFORMED, "not exactly fmt, attStmt and authData")
    if envelope["fmt"] != FORMAT:
        raise MalformedEvidence(reasons.FORMAT_MISMATCH)
    statement, auth_data = envelope["attStmt"], envelope["authData"]
    if not isinstance(statement, dict) or statement.keys() != {"x5c", "receipt"}:
        raise MalformedEvidence(reasons.OBJECT_MALFORMED, "attStmt is not exactly x5c and receipt")
    x5c, receipt = statement["x5c"], statement["receipt"]
    if not isinstance(receipt, bytes) or not isinstance(auth_data, bytes):
        raise MalformedEvidence(reasons.OBJECT_MALFORMED, "receipt or authData is not a byte string")
    leaf_der, intermediate_der = _split_chain(x5c)
    return AttestationEvidence(
        leaf=chain.parse_certificate(leaf_der, place="leaf"),
        intermediate_der=intermediate_der,
        receipt=receipt,
        auth_data_raw=auth_data,
        auth_data=parse_attested(auth_data),
    )


def _split_chain(x5c: object) -> tuple[bytes, bytes]:
    match x5c:
        case [bytes() as leaf, bytes() as intermediate]:
            return leaf, intermediate
        case _:
            raise MalformedEvidence(reasons.CHAIN_LENGTH)


def verify_attestation(
    attestation: bytes,
    *,
    client_data_hash: bytes,
    key_id: bytes,
    app_id: str,
    environments: AbstractSet[EvidenceEnvironment],
    anchors: Sequence[Anchor],
    now: datetime,
    known_intermediates: chain.KnownIntermediates | None = None,
) -> AppAttestClaims:
    """Prove that Apple attested the key `key_id`, made in the app `app_id`, for this client data hash.

    `client_data_hash` is compared as given, at any length but 0: SHA-256 of the client data, unless the
    app hands `attestKey` something else, as Apple's own samples do. `key_id` is the decoded 32 octets,
    `app_id` is "TEAMID.bundle-id", `environments` those that the identity admits, `anchors` normally
    `(trust.apple.APP_ATTESTATION_ROOT,)`.

    Does not prove that the app is unmodified while it runs, that the device is not one of a farm, that
    the challenge in the client data is fresh and unspent, that the key is not registered already, or
    anything about the receipt. It does not judge the claims of iOS 27: appraisal does.

    Raises `MalformedEvidence` as `parse_attestation` and `der.*`; `VerificationFailed` for every other
    code of `bonafide.reasons.app_attest`; `Misuse` for a naive `now` or an empty `client_data_hash`.
    """
    unchained = verify_bindings(
        attestation, client_data_hash=client_data_hash, key_id=key_id, app_id=app_id, environments=environments
    )
    return unchained.verify_chain(anchors=anchors, now=now, known_intermediates=known_intermediates)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnchainedAttestation:
    """An attestation that fits this client data, key, app and environment, as far as hashing can tell.

    It proves nothing: whoever makes up a certificate can make up the rest. What is left to do is the costly
    part, so that a service can take it in a bounded number of places.
    """

    _evidence: AttestationEvidence
    _app_id: str
    _environment: EvidenceEnvironment

    def verify_chain(
        self,
        *,
        anchors: Sequence[Anchor],
        now: datetime,
        known_intermediates: chain.KnownIntermediates | None = None,
    ) -> AppAttestClaims:
        """Take step 1, the last: see `verify_attestation` for what is proven then, and for what is raised."""
        if now.tzinfo is None:
            raise Misuse(misuse.TIME_NAIVE, "now")
        evidence = self._evidence
        # Step 1: the chain ends in a pinned root and is valid now.
        chain.verify_chain(
            evidence.leaf, evidence.intermediate_der, anchors=anchors, now=now, known=known_intermediates
        )
        return _claim(evidence, app_id=self._app_id, environment=self._environment)


def verify_bindings(
    attestation: bytes,
    *,
    client_data_hash: bytes,
    key_id: bytes,
    app_id: str,
    environments: AbstractSet[EvidenceEnvironment],
) -> UnchainedAttestation:
    """Take steps 2 to 9, which only hash and compare. Arguments and refusals as for `verify_attestation`.

    They prove nothing before the chain is verified.
    """
    if not client_data_hash:
        raise Misuse(misuse.CLIENT_DATA_HASH_EMPTY)
    evidence = parse_attestation(attestation)
    environment = _verify_bindings(
        evidence, client_data_hash=client_data_hash, key_id=key_id, app_id=app_id, environments=environments
    )
    return UnchainedAttestation(_evidence=evidence, _app_id=app_id, _environment=environment)


def _verify_bindings(
    evidence: AttestationEvidence,
    *,
    client_data_hash: bytes,
    key_id: bytes,
    app_id: str,
    environments: AbstractSet[EvidenceEnvironment],
) -> EvidenceEnvironment:
    data = evidence.auth_data
    _verify_nonce(evidence, client_data_hash)
    # Step 5: the key id is SHA-256 of the leaf's public key.
    public_key = evidence.leaf.encode_point()
    if not hmac.compare_digest(hashlib.sha256(public_key).digest(), key_id):
        raise VerificationFailed(reasons.KEY_ID_MISMATCH)
    # Step 6: the RP ID is the app.
    if not hmac.compare_digest(hash_rp_id(app_id), data.rp_id_hash):
        raise VerificationFailed(reasons.APP_ID_MISMATCH)
    # Step 7: the key has not been used.
    if data.counter != 0:
        raise VerificationFailed(reasons.COUNTER_NOT_ZERO, str(data.counter))
    # Step 8: the environment is one that is admitted.
    environment = _AAGUIDS.get(data.aaguid)
    if environment is None:
        raise VerificationFailed(reasons.AAGUID_UNKNOWN)
    if environment not in environments:
        raise VerificationFailed(reasons.ENVIRONMENT_REFUSED, environment.value)
    # Step 9: the credential id is the key id.
    if not hmac.compare_digest(data.credential_id, key_id):
        raise VerificationFailed(reasons.CREDENTIAL_ID_MISMATCH)
    # Not among Apple's steps: the key that authData states is the one that was attested.
    if not hmac.compare_digest(data.public_key, public_key):
        raise VerificationFailed(reasons.COSE_KEY_MISMATCH)
    return environment


def _verify_nonce(evidence: AttestationEvidence, client_data_hash: bytes) -> None:
    # Steps 2 and 3: nonce = SHA-256(authData || clientDataHash).
    nonce = hashlib.sha256(evidence.auth_data_raw + client_data_hash).digest()
    # Step 4: the leaf certificate carries that nonce.
    extension = evidence.leaf.read_octets(chain.NONCE)
    if extension is None:
        raise VerificationFailed(reasons.NONCE_MISSING)
    if not hmac.compare_digest(der.read_nonce(extension), nonce):
        raise VerificationFailed(reasons.NONCE_MISMATCH)


def _claim(evidence: AttestationEvidence, *, app_id: str, environment: EvidenceEnvironment) -> AppAttestClaims:
    return AppAttestClaims(
        app_id=app_id,
        key_id=evidence.auth_data.credential_id,
        public_key=evidence.auth_data.public_key,
        environment=environment,
        launch=evidence.auth_data.launch,
        os_information=evidence.leaf.read_octets(chain.OS_INFORMATION),
        key_access_conditions=evidence.leaf.read_octets(chain.KEY_ACCESS_CONDITIONS),
        leaf_not_before=evidence.leaf.certificate.not_valid_before_utc,
        leaf_not_after=evidence.leaf.certificate.not_valid_after_utc,
        receipt=evidence.receipt,
    )
