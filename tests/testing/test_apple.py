"""The fake Apple: certificates that differ from the real ones in keys and dates, and in nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from bonafide.evidence.app_attest import parse_attestation
from bonafide.testing.apple import FakeApple, derive_key, leaf_extensions, major, tlv
from bonafide.trust.apple import APP_ATTESTATION_ROOT
from tests.evidence.app_attest.real_evidence import attestations

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
APPLE = FakeApple()


def shape(der: bytes) -> list[object]:
    """Say everything about a certificate but keys, signatures, numbers and dates."""
    certificate = x509.load_der_x509_certificate(der)
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    return [
        certificate.version,
        certificate.issuer,
        certificate.signature_algorithm_oid,
        public_key.curve.name,
        [(extension.oid, extension.critical) for extension in certificate.extensions],
        [
            extension.value
            for extension in certificate.extensions
            if isinstance(extension.value, x509.BasicConstraints | x509.KeyUsage | x509.ExtendedKeyUsage)
        ],
    ]


def test_root_and_intermediate_have_the_shape_of_apples(shared: Path) -> None:
    assert shape(APPLE.root_der) == shape(APP_ATTESTATION_ROOT.certificate_der)
    intermediate = parse_attestation(attestations(shared)[0].attestation).intermediate_der
    assert shape(APPLE.intermediate_der) == shape(intermediate)
    assert abs(len(APPLE.intermediate_der) - len(intermediate)) <= 3  # DER of two signatures
    assert abs(len(APPLE.root_der) - len(APP_ATTESTATION_ROOT.certificate_der)) <= 3


@pytest.mark.parametrize(("ios", "index"), [("14.0.1", 0), ("17.2.1", 10), ("18.0", 12), ("27.0", 13)])
def test_leaves_have_the_shape_of_apples(shared: Path, ios: str, index: int) -> None:
    real = attestations(shared)[index]
    assert real.os_version == ios
    genuine = parse_attestation(real.attestation).leaf.certificate
    form = APPLE.leaf_form(key_id=real.key_id, nonce=bytes(32), app_id=real.app_id, ios=ios, now=NOW)
    made = x509.load_der_x509_certificate(APPLE.issue_leaf(form, genuine.public_key()))  # type: ignore[arg-type]  # P-256
    assert shape(made.public_bytes(Encoding.DER)) == shape(genuine.public_bytes(Encoding.DER))
    assert made.subject == genuine.subject
    assert made.public_key() == genuine.public_key()


@pytest.mark.parametrize("index", [0, 10, 12, 13])
def test_the_key_use_extension_is_apples_octet_for_octet_but_for_flags(shared: Path, index: int) -> None:
    real = attestations(shared)[index]
    genuine = parse_attestation(real.attestation).leaf.read_octets(x509.ObjectIdentifier("1.2.840.113635.100.8.5"))
    assert genuine is not None
    made = dict(leaf_extensions(nonce=bytes(32), app_id=real.app_id, ios=real.os_version))
    octets = made[x509.ObjectIdentifier("1.2.840.113635.100.8.5")]
    assert len(octets) == len(genuine)
    differing = [at for at, (one, other) in enumerate(zip(octets, genuine, strict=True)) if one != other]
    assert all({octets[at], genuine[at]} <= {0, 1, 4, 5} for at in differing)


def test_one_seed_makes_one_world_and_two_seeds_make_two() -> None:
    assert FakeApple(b"x").root_der == FakeApple(b"x").root_der
    assert FakeApple(b"x").intermediate_der == FakeApple(b"x").intermediate_der
    assert FakeApple(b"x").anchor.spki_sha256 != FakeApple(b"y").anchor.spki_sha256


def test_labels_and_curves_make_keys_of_their_own() -> None:
    one, other = derive_key(b"s", "a", ec.SECP256R1()), derive_key(b"s", "b", ec.SECP256R1())
    assert one.private_numbers() != other.private_numbers()
    assert one.private_numbers() == derive_key(b"s", "a", ec.SECP256R1()).private_numbers()


def test_versions_are_read_to_the_first_dot() -> None:
    assert [major(ios) for ios in ("14.0.1", "27", "27.0")] == [14, 27, 27]


@pytest.mark.parametrize("size", [0, 127, 128, 255, 256, 65535])
def test_der_lengths_are_in_their_shortest_form(size: int) -> None:
    header = tlv(0x04, bytes(size))[: -size or None]
    expected = {1: [size], 2: [0x81, size], 3: [0x82, size >> 8, size & 0xFF]}[len(header) - 1]
    assert list(header) == [0x04, *expected]
