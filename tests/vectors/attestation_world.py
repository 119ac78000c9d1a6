"""How the builder makes attestations: a good one, changed in one respect and signed again by the fake Apple."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import cbor2

from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import LAUNCH_EXTENSIONS_FROM, FakeApple, major
from bonafide.testing.secure_enclave import FAKE_RECEIPT, SecureEnclave, nonce
from bonafide.testing.vectors import ACCEPT, Vector, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.testing.apple import CertificateForm

NOW: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
APP_ID: Final = "ABCDE12345.com.example.app"
CLIENT_DATA_HASH: Final = hashlib.sha256(b'{"type":"enrol"}').digest()
_T = TypeVar("_T")

APPLE: Final = FakeApple(b"vectors")
LOOK_ALIKE: Final = FakeApple(b"look-alike")


def stream(label: str) -> Callable[[int], bytes]:
    """Return a source of "random" octets that says the same in every run."""
    position = 0

    def read(size: int) -> bytes:
        nonlocal position
        position += size
        return hashlib.shake_256(label.encode()).digest(position)[-size:]

    return read


class Forge:
    """A device with one key, always the same one, and every place where its attestation can be changed.

    Each place is a function from what is right to what is wanted. What comes after it is made of the
    result: authenticator data that was changed is what the nonce in the leaf is made of.
    """

    def __init__(self, *, ios: str = "27.0", ed_flag: bool = False, category: int = 4) -> None:
        """Make the device."""
        self.phone = SecureEnclave(
            APPLE,
            app_id=APP_ID,
            ios=ios,
            ed_flag=ed_flag,
            validation_category=category,
            random=stream("enclave"),
        )
        self.key = self.phone.generate_key()
        self.key_id = base64.b64decode(self.key)
        self.client_data_hash = CLIENT_DATA_HASH
        self.now = NOW
        self.auth_data: Callable[[bytes], bytes] = _same
        self.form: Callable[[CertificateForm], CertificateForm] = _same
        self.leaf_key: ec.EllipticCurvePublicKey | None = None
        self.leaf_signer: ec.EllipticCurvePrivateKey | None = None
        self.intermediate = APPLE.intermediate_der
        self.chain: Callable[[list[object]], object] = _same
        self.statement: Callable[[dict[object, object]], object] = _same
        self.envelope: Callable[[dict[object, object]], object] = _same
        self.encoded: Callable[[bytes], bytes] = _same

    def attestation(self) -> bytes:
        """Return the attestation object."""
        auth_data = self.auth_data(self.phone.attested_data(self.key))
        form = APPLE.leaf_form(
            key_id=self.key_id,
            nonce=nonce(auth_data, self.client_data_hash),
            app_id=APP_ID,
            ios=self.phone.ios,
            now=self.now,
        )
        leaf = APPLE.issue_leaf(self.form(form), self.leaf_key or self.public_key(), signer=self.leaf_signer)
        statement = self.statement({"x5c": self.chain([leaf, self.intermediate]), "receipt": FAKE_RECEIPT})
        envelope = self.envelope({"fmt": "apple-appattest", "attStmt": statement, "authData": auth_data})
        return self.encoded(cbor2.dumps(envelope))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the key's public half."""
        return self.phone.private_key(self.key).public_key()

    def claims(self) -> dict[str, object]:
        """Return what an untouched attestation of this device proves."""
        begin = self.now.replace(microsecond=0) - timedelta(days=1)
        launched = major(self.phone.ios) >= LAUNCH_EXTENSIONS_FROM
        form = APPLE.leaf_form(key_id=self.key_id, nonce=bytes(32), app_id=APP_ID, ios=self.phone.ios, now=self.now)
        access = [der for oid, der in form.extensions if oid.dotted_string.endswith(".8.6")]
        return {
            "app_id": APP_ID,
            "key_id": encode(self.key_id),
            "public_key": encode(self.phone.public_key(self.key)),
            "environment": self.phone.environment.value,
            "bundle_version": self.phone.bundle_version if launched else None,
            "validation_category": self.phone.validation_category if launched else None,
            "code_directory_hash": None,
            "code_directory_hash_type": None,
            **_os_claims(self.phone.ios),
            "key_access_conditions": encode(access[0]) if access else None,
            "leaf_not_before": begin.isoformat(),
            "leaf_not_after": (begin + timedelta(days=3)).isoformat(),
        }


def _same(value: _T) -> _T:
    return value


def _os_claims(ios: str) -> dict[str, object]:
    builds = {"17.2.1": "21A1", "18.0": "22A1", "26.1": "23A1", "27.0": "24A1"}
    return {
        "os_version": ios,
        "os_build": builds.get(ios),
        "os_platform": "iphoneos" if major(ios) >= 18 else None,
    }


def vector(
    name: str,
    comment: str,
    forge: Forge,
    *,
    expect: str = ACCEPT,
    claims: Mapping[str, object] | None = None,
    now: datetime | None = None,
    anchors: Sequence[bytes] = (APPLE.root_der,),
    **differing: object,
) -> Vector:
    """Return a vector whose input is what the forge made, but for what `differing` replaces."""
    given: dict[str, object] = {
        "attestation": encode(forge.attestation()),
        "client_data_hash": encode(forge.client_data_hash),
        "key_id": encode(forge.key_id),
        "app_id": APP_ID,
        "environments": [EvidenceEnvironment.PRODUCTION.value],
        "anchors": [encode(der) for der in anchors],
        **differing,
    }
    if expect == ACCEPT:
        claims = {**forge.claims(), **(claims or {})}
    return Vector(
        name=f"app_attest/{name}", comment=comment, now=now or forge.now, input=given, expect=expect, claims=claims
    )


def reform(**changes: object) -> Callable[[CertificateForm], CertificateForm]:
    """Return a change of a certificate's form."""
    return lambda form: replace(form, **changes)  # type: ignore[arg-type]  # fields of the form, forwarded


KEY_AT: Final = 87
KEY_BYTES: Final = 77
"""Where the COSE key stands in authenticator data, and how long every good one is."""


def replace_octets(at: int, octets: bytes) -> Callable[[bytes], bytes]:
    """Return a change that overwrites octets."""
    return lambda data: data[:at] + octets + data[at + len(octets) :]


def replace_key(encoded: bytes) -> Callable[[bytes], bytes]:
    """Return a change of the COSE key for other octets; for none, of all that follows as well."""
    return lambda data: data[:KEY_AT] + encoded + (data[KEY_AT + KEY_BYTES :] if encoded else b"")
