"""Evidence that real devices made, as the shared vectors hold it, ready to be varied."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.evidence.app_attest import KnownIntermediates, verify_assertion, verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.trust.apple import APP_ATTESTATION_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.evidence.app_attest import AppAttestClaims, AssertionClaims
    from bonafide.trust import Anchor

BOTH = frozenset({EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEVELOPMENT})


@dataclass(frozen=True, kw_only=True)
class RealAttestation:
    """One attestation and everything it is judged by; `verify` judges it under changed arguments."""

    name: str
    attestation: bytes
    client_data_hash: bytes
    key_id: bytes
    app_id: str
    environment: EvidenceEnvironment
    now: datetime
    public_key: bytes
    os_version: str
    not_before: datetime
    not_after: datetime
    extensions: dict[str, str] | None
    anchors: tuple[Anchor, ...] = (APP_ATTESTATION_ROOT,)
    environments: frozenset[EvidenceEnvironment] = BOTH
    known: KnownIntermediates | None = None

    def verify(self) -> AppAttestClaims:
        """Judge it."""
        return verify_attestation(
            self.attestation,
            client_data_hash=self.client_data_hash,
            key_id=self.key_id,
            app_id=self.app_id,
            environments=self.environments,
            anchors=self.anchors,
            now=self.now,
            known_intermediates=self.known,
        )


@dataclass(frozen=True, kw_only=True)
class RealAssertion:
    """One assertion and everything it is judged by."""

    name: str
    assertion: bytes
    client_data_hash: bytes
    public_key: bytes
    app_id: str
    counter: int
    last_counter: int

    def verify(self) -> AssertionClaims:
        """Judge it."""
        return verify_assertion(
            self.assertion,
            client_data_hash=self.client_data_hash,
            public_key=self.public_key,
            app_id=self.app_id,
            last_counter=self.last_counter,
        )


def attestations(shared: Path) -> list[RealAttestation]:
    """Return every real attestation."""
    return [_attestation(entry) for entry in json.loads((shared / "vectors/apple/attestations.json").read_text())]


def _attestation(entry: dict[str, Any]) -> RealAttestation:
    assert entry["expected"] == "valid"
    return RealAttestation(
        name=f"{entry['id']} (iOS {entry['os_version']})",
        attestation=base64.b64decode(entry["attestation_b64"]),
        client_data_hash=base64.b64decode(entry["client_data_hash_b64"]),
        key_id=base64.b64decode(entry["key_id"]),
        app_id=entry["app_id"],
        environment=EvidenceEnvironment(entry["environment"]),
        now=datetime.fromisoformat(entry["verify_at"]),
        public_key=base64.b64decode(entry["public_key_x963_b64"]),
        os_version=entry["os_version"],
        not_before=datetime.fromisoformat(entry["leaf_not_before"]),
        not_after=datetime.fromisoformat(entry["leaf_not_after"]),
        extensions=entry["auth_data_extensions"],
    )


def assertions(shared: Path) -> list[RealAssertion]:
    """Return every real assertion."""
    return [_assertion(entry) for entry in json.loads((shared / "vectors/apple/assertions.json").read_text())]


def _assertion(entry: dict[str, Any]) -> RealAssertion:
    assert entry["expected"] == "valid"
    counter = int(entry["counter"])
    return RealAssertion(
        name=entry["id"],
        assertion=base64.b64decode(entry["assertion_b64"]),
        client_data_hash=base64.b64decode(entry["client_data_hash_b64"]),
        public_key=base64.b64decode(entry["public_key_x963_b64"]),
        app_id=entry["app_id"],
        counter=counter,
        last_counter=counter - 1,
    )


def certificate(shared: Path, name: str) -> bytes:
    """Return one of the shared root certificates as DER."""
    return x509.load_pem_x509_certificate((shared / "trust" / name).read_bytes()).public_bytes(Encoding.DER)
