"""Attestations: what Apple attested is proven, and every other thing is refused by its own name."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import cbor2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.evidence.app_attest import KnownIntermediates, parse_attestation
from bonafide.reasons import app_attest as reasons
from bonafide.reasons import misuse
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.vectors import ACCEPT
from bonafide.trust import Anchor
from tests.evidence.app_attest.real_evidence import BOTH, RealAttestation, attestations, certificate
from tests.vectors.attestation_world import APPLE, Forge
from tests.vectors.judges import assert_verdict, attempt, judge_attestation, name, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.reasons import Reason
    from bonafide.testing.vectors import Vector

SEARCH = settings(parent=settings.get_profile("bonafide"))
SECOND = timedelta(seconds=1)
VECTORS = vectors("app_attest")


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)


def test_a_remembered_intermediate_changes_no_verdict() -> None:
    known = KnownIntermediates()
    for vector in [*VECTORS, *VECTORS]:
        _, verdict = attempt(partial(judge_attestation, vector, known))
        assert verdict == vector.expect, vector.name
    assert 1 < len(known) <= 16


def test_every_real_attestation_is_proven_with_its_claims(shared: Path) -> None:
    real = attestations(shared)
    assert len(real) == 14
    for given_ in real:
        claims = given_.verify()
        assert claims.public_key == given_.public_key, given_.name
        assert claims.key_id == given_.key_id
        assert claims.app_id == given_.app_id
        assert claims.environment is given_.environment
        assert claims.os_version == given_.os_version
        assert (claims.leaf_not_before, claims.leaf_not_after) == (given_.not_before, given_.not_after)
        assert claims.receipt
        assert claims.bundle_version == (given_.extensions or {}).get("apple_bundle_version_01")
        category = (given_.extensions or {}).get("apple_validation_category_01")
        assert claims.validation_category == (bytes.fromhex(category)[0] if category else None)


def test_each_input_varied_is_refused_with_its_own_reason(shared: Path) -> None:
    web = Anchor.from_certificate(certificate(shared, "apple_webauthn_root_ca.pem"), name="WebAuthn", source="test")
    for given_ in attestations(shared):
        digest = hashlib.sha256(given_.key_id).digest()
        other = BOTH - {given_.environment}
        variations: list[tuple[RealAttestation, Reason]] = [
            (replace(given_, anchors=(web,)), reasons.ROOT_UNKNOWN),
            (replace(given_, anchors=()), reasons.ROOT_UNKNOWN),
            (replace(given_, anchors=FakeApple(b"look-alike").anchors), reasons.INTERMEDIATE_SIGNATURE_INVALID),
            (replace(given_, now=given_.not_before - SECOND), reasons.CERTIFICATE_NOT_YET_VALID),
            (replace(given_, now=given_.not_after + SECOND), reasons.CERTIFICATE_EXPIRED),
            (replace(given_, app_id=given_.app_id + "x"), reasons.APP_ID_MISMATCH),
            (replace(given_, app_id=given_.app_id + "\udcff"), reasons.APP_ID_MISMATCH),
            (replace(given_, app_id=given_.app_id.partition(".")[2]), reasons.APP_ID_MISMATCH),
            (replace(given_, key_id=digest), reasons.KEY_ID_MISMATCH),
            (replace(given_, key_id=b""), reasons.KEY_ID_MISMATCH),
            (replace(given_, client_data_hash=digest), reasons.NONCE_MISMATCH),
            (replace(given_, client_data_hash=given_.client_data_hash[:-1]), reasons.NONCE_MISMATCH),
            (replace(given_, environments=other), reasons.ENVIRONMENT_REFUSED),
            (replace(given_, environments=frozenset()), reasons.ENVIRONMENT_REFUSED),
            (replace(given_, environments=frozenset({EvidenceEnvironment.DEBUG})), reasons.ENVIRONMENT_REFUSED),
        ]
        for varied, reason in variations:
            with pytest.raises(VerificationFailed) as refused:
                varied.verify()
            assert refused.value.reason is reason, given_.name
        for now in (given_.not_before, given_.not_after):
            assert replace(given_, now=now).verify() == given_.verify()


FRAME = {"cbor.malformed", "cbor.type_refused", "cbor.trailing_data", "app_attest.object_malformed"}
ANY_OF: dict[str, set[str]] = {
    "frame": FRAME | {"app_attest.format_mismatch", "app_attest.chain_length"},
    "leaf": {
        "app_attest.certificate_malformed",  # no longer DER, or a point that is not on the curve
        "app_attest.nonce_missing",  # the OID of the nonce
        "der.malformed",  # the structure round the nonce
        "app_attest.nonce_mismatch",
        "app_attest.certificate_profile",
        "app_attest.issuer_mismatch",
        "app_attest.certificate_not_yet_valid",
        "app_attest.certificate_expired",
        "app_attest.leaf_signature_invalid",
    },
    "intermediate": {
        "app_attest.certificate_malformed",
        "app_attest.certificate_profile",
        "app_attest.root_unknown",
        "app_attest.intermediate_signature_invalid",
    },
    "auth_data": {
        "app_attest.auth_data_malformed",
        "app_attest.cose_key_malformed",
        "app_attest.extensions_malformed",
        "app_attest.nonce_mismatch",
    },
}


@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
@pytest.mark.parametrize("version", ["14.0.1", "18.0", "27.0"])
def test_a_byte_changed_anywhere_but_in_the_unsigned_receipt_is_refused(shared: Path, version: str, bits: int) -> None:
    """The receipt is signed by itself and by nothing here: a change there changes only the receipt's octets."""
    given_ = next(real for real in attestations(shared) if real.os_version == version)
    given_ = replace(given_, known=KnownIntermediates(), environments=frozenset({given_.environment}))
    claims, regions = given_.verify(), _regions(given_.attestation)
    for at in range(len(given_.attestation)):
        octets = bytearray(given_.attestation)
        octets[at] ^= bits
        changed = replace(given_, attestation=bytes(octets))
        region = next((part for part, place in regions.items() if at in place), "frame")
        if region == "receipt":
            assert replace(changed.verify(), receipt=claims.receipt) == claims, at
            continue
        with pytest.raises((MalformedEvidence, VerificationFailed)) as refused:
            changed.verify()
        assert refused.value.reason.code in ANY_OF[region], (region, at)


def _regions(attestation: bytes) -> dict[str, range]:
    evidence = parse_attestation(attestation)
    parts = {
        "leaf": evidence.leaf.certificate.public_bytes(Encoding.DER),
        "intermediate": evidence.intermediate_der,
        "receipt": evidence.receipt,
        "auth_data": evidence.auth_data_raw,
    }
    return {part: range(at := attestation.index(octets), at + len(octets)) for part, octets in parts.items()}


def test_a_receipt_is_handed_on_and_not_judged(shared: Path) -> None:
    given_ = attestations(shared)[0]
    envelope = cbor2.loads(given_.attestation)
    envelope["attStmt"]["receipt"] = b""
    assert replace(given_, attestation=cbor2.dumps(envelope)).verify().receipt == b""


def test_a_time_without_a_zone_is_misuse(shared: Path) -> None:
    given_ = attestations(shared)[0]
    with pytest.raises(Misuse) as refused:
        replace(given_, now=given_.now.replace(tzinfo=None)).verify()
    assert refused.value.reason is misuse.TIME_NAIVE


def test_an_empty_client_data_hash_is_misuse(shared: Path) -> None:
    with pytest.raises(Misuse) as refused:
        replace(attestations(shared)[0], client_data_hash=b"").verify()
    assert refused.value.reason is misuse.CLIENT_DATA_HASH_EMPTY


FORGE = Forge()
GOOD = FORGE.attestation()
ENVELOPE = cbor2.loads(GOOD)
LEAF, INTERMEDIATE = ENVELOPE["attStmt"]["x5c"]
AUTH_DATA = ENVELOPE["authData"]
FORGED = RealAttestation(
    name="forged",
    attestation=GOOD,
    client_data_hash=FORGE.client_data_hash,
    key_id=FORGE.key_id,
    app_id=FORGE.phone.app_id,
    environment=EvidenceEnvironment.PRODUCTION,
    now=FORGE.now,
    public_key=b"",
    os_version="",
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2026, 1, 1, tzinfo=UTC),
    extensions=None,
    anchors=APPLE.anchors,
    known=KnownIntermediates(),
)

CLAIMS = FORGED.verify()
PARTS = (LEAF, INTERMEDIATE, AUTH_DATA)


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """Draw a good object with one part cut, overwritten or lengthened somewhere."""
    which = draw(st.integers(0, 2))
    part = PARTS[which]
    at = draw(st.integers(0, len(part)))
    octets, cut = draw(st.binary(max_size=4)), draw(st.integers(0, 4))
    parts = [*PARTS]
    parts[which] = part[:at] + octets + part[at + cut :]
    receipt = draw(st.sampled_from([b"", b"r", 1, None]))
    statement = {"x5c": parts[: draw(st.sampled_from([2, 2, 2, 1, 3]))], "receipt": receipt}
    return cbor2.dumps({"fmt": "apple-appattest", "attStmt": statement, "authData": parts[2]})


@SEARCH
@given(edited() | st.binary(max_size=200))
def test_nothing_but_a_refusal_or_the_same_claims_comes_of_any_octets(octets: bytes) -> None:
    claims, verdict = attempt(replace(FORGED, attestation=octets).verify)
    assert claims is None or replace(claims, receipt=CLAIMS.receipt) == CLAIMS
    assert verdict == ACCEPT or verdict.split(".")[0] in {"app_attest", "cbor", "der"}


@given(st.integers(0, len(AUTH_DATA)), st.integers(0, 40), st.binary(max_size=40))
def test_what_apple_signed_is_judged_by_every_step_all_the_same(at: int, cut: int, octets: bytes) -> None:
    """Authenticator data of any form, with a nonce that is right: as if Apple itself were the attacker."""
    forge = Forge()
    forge.auth_data = lambda data: data[:at] + octets + data[at + cut :]
    claims, verdict = attempt(replace(FORGED, attestation=forge.attestation()).verify)
    assert claims is None or replace(claims, launch=CLAIMS.launch) == CLAIMS
    assert verdict == ACCEPT or verdict.startswith("app_attest.")
