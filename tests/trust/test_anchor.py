"""Anchors: a certificate is the root that it says it is, or it is no anchor."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.testing.apple import FakeApple
from bonafide.trust import Anchor, expiring, require_bundled
from bonafide.trust.apple import APP_ATTESTATION_ROOT, BUNDLED

if TYPE_CHECKING:
    from pathlib import Path

FAKE = FakeApple().anchor


def certificate(shared: Path, name: str) -> bytes:
    return x509.load_pem_x509_certificate((shared / "trust" / name).read_bytes()).public_bytes(Encoding.DER)


def test_an_anchor_describes_its_certificate(shared: Path) -> None:
    der = certificate(shared, "apple_app_attestation_root_ca.pem")
    made = Anchor.from_certificate(der, name=APP_ATTESTATION_ROOT.name, source=APP_ATTESTATION_ROOT.source)
    assert made == APP_ATTESTATION_ROOT


def test_a_look_alike_with_the_same_name_and_key_cannot_be_an_anchor(shared: Path) -> None:
    der = certificate(shared, "NEGATIVE_fake_apple_app_attestation_root.pem")
    with pytest.raises(ConfigurationError, match="not signed by itself") as refused:
        Anchor.from_certificate(der, name="Apple App Attestation Root CA", source="somewhere")
    assert refused.value.reason is reasons.ANCHOR_MALFORMED
    with pytest.raises(ConfigurationError, match="not signed by itself"):
        replace(APP_ATTESTATION_ROOT, certificate_der=der)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": FAKE.sha256},
        {"spki_sha256": FAKE.spki_sha256},
        {"not_after": FAKE.not_after + timedelta(days=1)},
        {"certificate_der": FAKE.certificate_der},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_anchor_whose_fields_differ_from_its_certificate_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="differ from what is stated") as refused:
        replace(APP_ATTESTATION_ROOT, **change)  # type: ignore[arg-type]  # named fields, of the wrong value on purpose
    assert refused.value.reason is reasons.ANCHOR_MALFORMED


def test_octets_that_are_no_certificate_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a certificate") as refused:
        Anchor.from_certificate(b"0\x00", name="x", source="x")
    assert refused.value.reason is reasons.ANCHOR_MALFORMED


def test_a_root_of_another_kind_of_key_is_refused(shared: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a P-384 key") as refused:
        Anchor.from_certificate(certificate(shared, "google_hw_root_rsa_2022.pem"), name="x", source="x")
    assert refused.value.reason is reasons.ANCHOR_MALFORMED


def test_a_certificate_that_another_signed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not signed by itself"):
        Anchor.from_certificate(FakeApple().intermediate_der, name="x", source="x")


def test_an_anchor_is_listed_from_a_year_before_its_end() -> None:
    end = datetime(2045, 3, 15, tzinfo=UTC)
    assert APP_ATTESTATION_ROOT.not_after == end
    assert expiring(BUNDLED, now=end - timedelta(days=366)) == ()
    assert expiring(BUNDLED, now=end - timedelta(days=365)) == BUNDLED
    assert expiring(BUNDLED, now=end + timedelta(days=1)) == BUNDLED
    assert expiring(BUNDLED, now=end - timedelta(days=10), within=timedelta(days=9)) == ()
    assert expiring((), now=end) == ()


def test_a_production_configuration_that_names_a_test_anchor_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="Fake Apple") as refused:
        require_bundled((APP_ATTESTATION_ROOT, FAKE), bundled=BUNDLED)
    assert refused.value.reason is reasons.TEST_TRUST
    require_bundled(BUNDLED, bundled=BUNDLED)
    require_bundled((), bundled=BUNDLED)
