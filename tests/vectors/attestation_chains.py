"""The vectors of `app_attest` that are about certificates: forms, profiles, signatures and dates."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtensionOID

from bonafide.testing.apple import apple_name, derive_key, sign_certificate, tlv
from bonafide.testing.secure_enclave import x963
from tests.vectors.attestation_world import APPLE, LOOK_ALIKE, NOW, Forge, reform, replace_key, replace_octets, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bonafide.testing.apple import CertificateForm
    from bonafide.testing.vectors import Vector


def build() -> Iterator[Vector]:
    """Yield them."""
    yield from _certificates()
    yield from _leaf_profiles()
    yield from _intermediate_profiles()
    yield from _chains()
    yield from _times()


def _certificates() -> Iterator[Vector]:
    chains: dict[str, tuple[str, Callable[[list[bytes]], list[bytes]]]] = {
        "certificate_leaf_truncated": ("The leaf lacks its last octet", lambda c: [c[0][:-1], c[1]]),
        "certificate_leaf_trailing": ("An octet follows the leaf", lambda c: [c[0] + b"\x00", c[1]]),
        "certificate_intermediate_truncated": ("The intermediate lacks an octet", lambda c: [c[0], c[1][:-1]]),
    }
    for name, (comment, change) in chains.items():
        forge = Forge()
        forge.chain = change  # type: ignore[assignment]  # of octets, like every good chain
        yield vector(name, comment, forge, expect="app_attest.certificate_malformed")
    for name, comment, oid, octets in (
        ("features", "an empty list of TLS features", ExtensionOID.TLS_FEATURE, tlv(0x30, b"")),
        (
            "alternative_name",
            "an EDI party name",
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
            tlv(0x30, tlv(0xA5, tlv(0xA1, tlv(0x0C, b"x")))),
        ),
    ):
        strange = Forge()
        strange.form = _added(oid, octets)
        expect = "app_attest.certificate_malformed"
        yield vector(f"certificate_leaf_{name}", f"The leaf has {comment}", strange, expect=expect)
    twice = Forge()
    twice.chain = lambda chain: [_second_nonce(chain[0]), chain[1]]
    comment = "The leaf has a second extension .8.2, and is signed so"
    yield vector("certificate_leaf_nonce_twice", comment, twice, expect="app_attest.certificate_malformed")
    for name, key in (("ed25519", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()),):
        other = Forge()
        other.leaf_key = key  # type: ignore[assignment]  # the wrong kind is the point
        expect = "app_attest.certificate_malformed"
        yield vector(f"certificate_leaf_{name}", "The leaf has another kind of key", other, expect=expect)


def _second_nonce(leaf: object) -> bytes:
    """Rename extension .8.5 to .8.2, which no builder of certificates does, and sign again."""
    if not isinstance(leaf, bytes):
        raise TypeError
    body = x509.load_der_x509_certificate(leaf).tbs_certificate_bytes
    own, nonce = (tlv(0x06, bytes.fromhex("2a864886f7636408") + bytes([number])) for number in (5, 2))
    body = body.replace(own, nonce)
    signature = APPLE.intermediate_key.sign(body, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    algorithm = tlv(0x30, tlv(0x06, bytes.fromhex("2a8648ce3d040302")))
    return tlv(0x30, body + algorithm + tlv(0x03, b"\x00" + signature))


def _leaf_profiles() -> Iterator[Vector]:
    critical = ((x509.ObjectIdentifier("1.2.840.113635.100.8.99"), b"\x05\x00"),)
    changes: dict[str, tuple[str, dict[str, object]]] = {
        "leaf_authority": ("The leaf is marked as an authority", {"authority": True}),
        "leaf_constraints_missing": ("The leaf has no basic constraints", {"authority": None}),
        "leaf_usage_missing": ("The leaf has no key usage", {"key_usage": None}),
        "leaf_usage_no_signature": ("The leaf's key may not sign", {"key_usage": ("data_encipherment",)}),
        "leaf_usage_cert_sign": (
            "The leaf's key may sign certificates",
            {"key_usage": ("digital_signature", "key_cert_sign")},
        ),
        "leaf_critical": ("The leaf has a critical extension that nobody knows", {"critical_extensions": critical}),
        "leaf_sha512": ("The leaf is signed with SHA-512", {"signature_hash": hashes.SHA512()}),
    }
    for name, (comment, change) in changes.items():
        forge = Forge()
        forge.form = reform(**change)
        yield vector(name, f"Step 1: {comment}", forge, expect="app_attest.certificate_profile")
    yield _leaf_on_another_curve()


def _leaf_on_another_curve() -> Vector:
    """The same length of key on secp256k1, so that everything before the chain compares equal."""
    forge = Forge()
    forge.leaf_key = derive_key(b"vectors", "leaf", ec.SECP256K1()).public_key()
    point = x963(forge.leaf_key)
    forge.key_id = hashlib.sha256(point).digest()
    key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
    forge.auth_data = lambda data: replace_key(key)(replace_octets(55, forge.key_id)(data))
    return vector("leaf_secp256k1", "Step 1: the leaf's curve", forge, expect="app_attest.certificate_profile")


def _intermediate_profiles() -> Iterator[Vector]:
    changes: dict[str, tuple[str, dict[str, object]]] = {
        "intermediate_end_entity": ("It is no authority", {"authority": False, "path_length": None}),
        "intermediate_constraints_missing": ("It has no basic constraints", {"authority": None}),
        "intermediate_path_length_missing": ("It may have authorities below it", {"path_length": None}),
        "intermediate_path_length_one": ("It may have an authority below it", {"path_length": 1}),
        "intermediate_usage_missing": ("It has no key usage", {"key_usage": None}),
        "intermediate_usage_crl": ("Its key may not sign certificates", {"key_usage": ("crl_sign",)}),
        "intermediate_sha512": ("It is signed with SHA-512", {"signature_hash": hashes.SHA512()}),
    }
    for name, (comment, change) in changes.items():
        forge = Forge()
        forge.intermediate = APPLE.issue_intermediate(reform(**change)(APPLE.intermediate_form()))
        yield vector(name, f"Step 1, intermediate: {comment}", forge, expect="app_attest.certificate_profile")
    forge = Forge()
    forge.leaf_signer = derive_key(b"vectors", "p-256 authority", ec.SECP256R1())
    forge.intermediate = APPLE.issue_intermediate(APPLE.intermediate_form(), public_key=forge.leaf_signer.public_key())
    yield vector("intermediate_p256", "Step 1, intermediate: its curve", forge, expect="app_attest.certificate_profile")


def _chains() -> Iterator[Vector]:
    issuer = Forge()
    issuer.form = reform(issuer="Apple App Attestation CA 2")
    yield vector("issuer_other", "Step 1: the leaf names another issuer", issuer, expect="app_attest.issuer_mismatch")
    stranger = sign_certificate(
        reform(subject=apple_name("Apple WebAuthn Root CA"), issuer="Apple WebAuthn Root CA")(APPLE.root_form()),
        APPLE.root_key.public_key(),
        APPLE.root_key,
    )
    comment = "Step 1: the anchor has the right key and another name"
    yield vector("root_name", comment, Forge(), expect="app_attest.root_unknown", anchors=[stranger])
    yield vector("root_none", "Step 1: no anchor", Forge(), expect="app_attest.root_unknown", anchors=[])
    expect = "app_attest.intermediate_signature_invalid"
    anchors = [LOOK_ALIKE.root_der]
    comment = "Step 1: the anchor has the right name and another key"
    yield vector("root_look_alike", comment, Forge(), expect=expect, anchors=anchors)
    forged = Forge()
    forged.intermediate = LOOK_ALIKE.intermediate_der
    forged.leaf_signer = LOOK_ALIKE.intermediate_key
    yield vector("root_look_alike_chain", "Step 1: a whole chain under a look-alike root", forged, expect=expect)
    renamed = Forge()
    renamed.intermediate = APPLE.intermediate_der.replace(b"Attestation CA 1", b"Attestation CA 2")
    renamed.form = reform(issuer="Apple App Attestation CA 2")
    comment = "Step 1: the intermediate renamed, and a leaf that names it so"
    yield vector("intermediate_renamed", comment, renamed, expect=expect)
    stolen = Forge()
    stolen.leaf_signer = LOOK_ALIKE.intermediate_key
    comment = "Step 1: the genuine intermediate, and a leaf that it did not sign"
    yield vector("leaf_signature", comment, stolen, expect="app_attest.leaf_signature_invalid")
    below = Forge()
    below.intermediate = APPLE.root_der
    comment = "Step 1: the root in place of the intermediate"
    yield vector("chain_root_as_intermediate", comment, below, expect="app_attest.certificate_profile")


def _times() -> Iterator[Vector]:
    second = timedelta(seconds=1)
    early, late = "app_attest.certificate_not_yet_valid", "app_attest.certificate_expired"
    now = NOW - timedelta(days=1) - second
    yield vector("leaf_early", "Step 1: a second before the leaf begins", Forge(), expect=early, now=now)
    now = NOW + timedelta(days=2) + second
    yield vector("leaf_late", "Step 1: a second after the leaf has ended", Forge(), expect=late, now=now)
    for name, comment, expect, change in (
        ("early", "begins a second later", early, {"not_before": NOW + second}),
        ("late", "ended a second ago", late, {"not_after": NOW - second}),
    ):
        forge = Forge()
        forge.intermediate = APPLE.issue_intermediate(reform(**change)(APPLE.intermediate_form()))
        yield vector(f"intermediate_{name}", f"Step 1: the intermediate {comment}", forge, expect=expect)
        root = sign_certificate(reform(**change)(APPLE.root_form()), APPLE.root_key.public_key(), APPLE.root_key)
        yield vector(f"anchor_{name}", f"Step 1: the anchor {comment}", Forge(), expect=expect, anchors=[root])
    forge = Forge()
    forge.now = datetime(2046, 1, 1, tzinfo=UTC)
    yield vector("chain_2046", "Step 1: a fresh leaf when intermediate and root have ended", forge, expect=late)


def _added(oid: x509.ObjectIdentifier, der: bytes) -> Callable[[CertificateForm], CertificateForm]:
    return lambda form: reform(extensions=(*form.extensions, (oid, der)))(form)
