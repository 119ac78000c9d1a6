"""What reads the vectors of each area: the public function, with the vector's input as its arguments."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import cbor2
import pytest

from bonafide.codec import cbor, der
from bonafide.errors import BonafideError, MalformedEvidence, VerificationFailed
from bonafide.evidence.app_attest import KnownIntermediates, verify_assertion, verify_attestation
from bonafide.evidence.debug import DebugSecret, UnsafeDebugEvidence, verify_debug_evidence
from bonafide.terms import Environment, EvidenceEnvironment
from bonafide.testing.vectors import ACCEPT, encode, load
from bonafide.trust import Anchor
from tests.vectors.gate_judge import judge_request
from tests.vectors.messages import judge_client_data, judge_key_agreement
from tests.vectors.sealed import judge_records, judge_sealed
from tests.vectors.sessions import judge_challenge, judge_schedule, judge_session
from tests.vectors.statements import judge_statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bonafide.testing.vectors import Vector

_T = TypeVar("_T")

DIRECTORY: Final = Path(__file__).resolve().parents[2] / "vectors"


def vectors(area: str) -> tuple[Vector, ...]:
    """Return the committed vectors of one area."""
    return load(DIRECTORY, area)


def name(vector: Vector) -> str:
    """Name a test after its vector."""
    return vector.name


def assert_verdict(vector: Vector) -> None:
    """Have the vector judged, and compare claims or reason with what it expects."""
    if vector.accepted:
        assert judge(vector) == vector.claims
        return
    with pytest.raises(BonafideError) as refused:
        judge(vector)
    assert refused.value.reason.code == vector.expect


def attempt(act: Callable[[], _T]) -> tuple[_T | None, str]:
    """Return what `act` proves and "accept", or None and the code with which evidence is refused.

    Every other exception, `Misuse` among them, is the test's failure.
    """
    try:
        return act(), ACCEPT
    except (MalformedEvidence, VerificationFailed) as refused:
        return None, refused.reason.code


def judge(vector: Vector) -> Mapping[str, object]:
    """Return what the vector's input proves, or raise what refuses it."""
    return JUDGES[vector.area](vector)


def judge_attestation(vector: Vector, known: KnownIntermediates | None = None) -> Mapping[str, object]:
    """Verify an attestation."""
    return verify_attestation(
        vector.octets("attestation"),
        client_data_hash=vector.octets("client_data_hash"),
        key_id=vector.octets("key_id"),
        app_id=vector.text("app_id"),
        environments=frozenset(EvidenceEnvironment(name) for name in vector.texts("environments")),
        anchors=[
            Anchor.from_certificate(base64.b64decode(text), name="vector", source="vector")
            for text in vector.texts("anchors")
        ],
        now=vector.moment(),
        known_intermediates=known,
    ).as_json()


def judge_assertion(vector: Vector) -> Mapping[str, object]:
    """Verify an assertion."""
    return verify_assertion(
        vector.octets("assertion"),
        client_data_hash=vector.octets("client_data_hash"),
        public_key=vector.octets("public_key"),
        app_id=vector.text("app_id"),
        last_counter=vector.number("last_counter"),
    ).as_json()


def judge_cbor(vector: Vector) -> Mapping[str, object]:
    """Parse CBOR, and tell the value as its shortest encoding."""
    return {"shortest": encode(cbor2.dumps(cbor.parse(vector.octets("cbor"), max_bytes=vector.number("max_bytes"))))}


def judge_der(vector: Vector) -> Mapping[str, object]:
    """Read one of Apple's extensions, or the names of a certificate."""
    octets = vector.octets("der")
    if vector.text("reader") == "nonce":
        return {"nonce": encode(der.read_nonce(octets))}
    if vector.text("reader") == "names":
        names = der.read_names(octets)
        return {"issuer": encode(names.issuer), "subject": encode(names.subject)}
    numbers = vector.input["numbers"]
    assert isinstance(numbers, list)
    return {"texts": {str(number): text for number, text in der.read_tagged_texts(octets, numbers).items()}}


def judge_debug(vector: Vector) -> Mapping[str, object]:
    """Verify debug evidence, under a policy for staging, or under none where `secrets` is null."""
    evidence, secrets = vector.input["evidence"], vector.input["secrets"]
    assert isinstance(evidence, dict)
    policy = None
    if isinstance(secrets, list):
        policy = UnsafeDebugEvidence(
            environment=Environment.STAGING,
            secrets=tuple(
                DebugSecret(app=entry["app"], name=entry["name"], secret=base64.b64decode(entry["secret"]))
                for entry in secrets
            ),
        )
    return verify_debug_evidence(
        evidence,
        client_data_hash=vector.octets("client_data_hash"),
        app=vector.text("app"),
        policy=policy,
        now=vector.moment(),
    ).as_json()


JUDGES: Final[Mapping[str, Callable[[Vector], Mapping[str, object]]]] = {
    "aes128gcm": judge_records,
    "app_assertion": judge_assertion,
    "app_attest": judge_attestation,
    "cbor": judge_cbor,
    "challenge": judge_challenge,
    "client_attestation": judge_request,
    "client_data": judge_client_data,
    "debug": judge_debug,
    "der": judge_der,
    "dpop": judge_request,
    "key_agreement": judge_key_agreement,
    "key_schedule": judge_schedule,
    "proof": judge_request,
    "request": judge_request,
    "route": judge_request,
    "sealed": judge_sealed,
    "session": judge_session,
    "statement": judge_statement,
}
