"""Chains: what is remembered of an intermediate, and what is asked again every time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.evidence.app_attest import KnownIntermediates
from bonafide.evidence.app_attest.chain import Intermediate, parse_certificate
from bonafide.reasons import app_attest as reasons
from bonafide.testing.apple import FakeApple
from bonafide.trust import Anchor
from bonafide.trust.apple import APP_ATTESTATION_ROOT
from tests.evidence.app_attest.real_evidence import RealAttestation, attestations, certificate
from tests.evidence.app_attest.test_attestation import FORGED
from tests.vectors.attestation_world import APPLE, LOOK_ALIKE, Forge, reform

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.reasons import Reason


def refusal(attestation: RealAttestation) -> Reason:
    with pytest.raises(VerificationFailed) as refused:
        attestation.verify()
    return refused.value.reason


def test_a_verified_intermediate_is_remembered_once() -> None:
    known = KnownIntermediates()
    assert len(known) == 0
    for _ in range(3):
        replace(FORGED, known=known).verify()
    assert len(known) == 1


def test_an_intermediate_that_does_not_verify_is_not_remembered() -> None:
    known = KnownIntermediates()
    forge = Forge()
    forge.intermediate, forge.leaf_signer = LOOK_ALIKE.intermediate_der, LOOK_ALIKE.intermediate_key
    for _ in range(2):
        attestation = replace(FORGED, attestation=forge.attestation(), known=known)
        assert refusal(attestation) is reasons.INTERMEDIATE_SIGNATURE_INVALID
    assert len(known) == 0


def test_a_remembered_intermediate_is_worth_nothing_without_its_anchor() -> None:
    known = KnownIntermediates()
    replace(FORGED, known=known).verify()
    assert refusal(replace(FORGED, known=known, anchors=())) is reasons.ROOT_UNKNOWN
    real = replace(FORGED, known=known, anchors=(APP_ATTESTATION_ROOT,))
    assert refusal(real) is reasons.INTERMEDIATE_SIGNATURE_INVALID


def test_a_remembered_intermediate_is_asked_for_its_dates_every_time() -> None:
    known = KnownIntermediates()
    end = FORGED.now + timedelta(hours=1)
    forge = Forge()
    forge.intermediate = APPLE.issue_intermediate(reform(not_after=end)(APPLE.intermediate_form()))
    attestation = replace(FORGED, attestation=forge.attestation(), known=known)
    attestation.verify()
    assert replace(attestation, now=end).verify() == attestation.verify()
    assert refusal(replace(attestation, now=end + timedelta(seconds=1))) is reasons.CERTIFICATE_EXPIRED
    assert refusal(replace(attestation, now=FORGED.now - timedelta(days=2))) is reasons.CERTIFICATE_NOT_YET_VALID


def test_a_remembered_intermediate_still_has_to_have_signed_the_leaf() -> None:
    known = KnownIntermediates()
    replace(FORGED, known=known).verify()
    forge = Forge()
    forge.leaf_signer = LOOK_ALIKE.intermediate_key
    stolen = replace(FORGED, attestation=forge.attestation(), known=known)
    assert refusal(stolen) is reasons.LEAF_SIGNATURE_INVALID


def entry(number: int) -> Intermediate:
    known = parse_certificate(APPLE.intermediate_der, place="intermediate")
    return Intermediate(
        sha256=bytes([number]),
        subject=known.names.subject,
        public_key=known.public_key,
        not_before=FORGED.now,
        not_after=FORGED.now,
        anchor_sha256=APPLE.anchor.sha256,
    )


@pytest.mark.parametrize("bound", [0, 1, 3])
def test_only_the_last_few_are_remembered(bound: int) -> None:
    known = KnownIntermediates(max_entries=bound)
    for number in range(5):
        known.remember(entry(number))
    assert len(known) == bound
    kept = [number for number in range(5) if known.recall(bytes([number]), APPLE.anchors) is not None]
    assert kept == list(range(5 - bound, 5))


def test_the_look_alike_of_apples_root_does_not_pass_for_the_intermediate(shared: Path) -> None:
    """Same name, same key, signed by nobody: as an anchor it cannot be made (tests/trust), as a link it is refused."""
    false_root = certificate(shared, "NEGATIVE_fake_apple_app_attestation_root.pem")
    forge = Forge()
    forge.intermediate = false_root
    attestation = replace(FORGED, attestation=forge.attestation(), anchors=(APP_ATTESTATION_ROOT,))
    assert refusal(attestation) is reasons.CERTIFICATE_PROFILE


def test_real_evidence_is_not_believed_in_a_test_world_nor_test_evidence_in_the_real_one(shared: Path) -> None:
    real = attestations(shared)[-1]
    assert refusal(replace(real, anchors=APPLE.anchors)) is reasons.INTERMEDIATE_SIGNATURE_INVALID
    forged = replace(FORGED, anchors=(APP_ATTESTATION_ROOT,))
    assert refusal(forged) is reasons.INTERMEDIATE_SIGNATURE_INVALID
    assert replace(real, anchors=(*APPLE.anchors, APP_ATTESTATION_ROOT)).verify() == real.verify()


def test_the_detail_names_the_certificate_that_is_at_fault() -> None:
    with pytest.raises(MalformedEvidence) as refused:
        parse_certificate(b"", place="leaf")
    assert (refused.value.reason, refused.value.detail) == (reasons.CERTIFICATE_MALFORMED, "leaf")


def test_an_anchor_made_from_a_certificate_serves_as_the_bundled_one(shared: Path) -> None:
    der = certificate(shared, "apple_app_attestation_root_ca.pem")
    anchor = Anchor.from_certificate(der, name="again", source="test")
    for real in attestations(shared):
        assert replace(real, anchors=(anchor,)).verify() == real.verify()


def test_two_worlds_from_two_seeds_share_nothing() -> None:
    assert FakeApple(b"a").anchor.spki_sha256 != FakeApple(b"b").anchor.spki_sha256
