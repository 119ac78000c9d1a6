"""Apple App Attest: attestations of keys and assertions by them, iOS 14 to 27 and macOS 27."""

from bonafide.evidence.app_attest.assertion import (
    MAX_ASSERTION_BYTES,
    AssertionEvidence,
    parse_assertion,
    verify_assertion,
)
from bonafide.evidence.app_attest.attestation import (
    MAX_ATTESTATION_BYTES,
    AttestationEvidence,
    UnchainedAttestation,
    parse_attestation,
    verify_attestation,
    verify_bindings,
)
from bonafide.evidence.app_attest.authenticator_data import LaunchExtensions
from bonafide.evidence.app_attest.chain import KnownIntermediates
from bonafide.evidence.app_attest.claims import AppAttestClaims, AssertionClaims

__all__ = [
    "MAX_ASSERTION_BYTES",
    "MAX_ATTESTATION_BYTES",
    "AppAttestClaims",
    "AssertionClaims",
    "AssertionEvidence",
    "AttestationEvidence",
    "KnownIntermediates",
    "LaunchExtensions",
    "UnchainedAttestation",
    "parse_assertion",
    "parse_attestation",
    "verify_assertion",
    "verify_attestation",
    "verify_bindings",
]
