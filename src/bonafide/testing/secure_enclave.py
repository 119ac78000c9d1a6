"""A software iPhone's App Attest half: what DCAppAttestService does, with a fake Apple behind it.

Objects are byte-shaped like those of the iOS version asked for: up to 26 without the extension map,
27 with it and with the ED flag set or clear. Pure but for what is handed in: randomness and time.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import LAUNCH_EXTENSIONS_FROM, FakeApple, derive_key, major

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

AAGUIDS: Final = {
    EvidenceEnvironment.PRODUCTION: b"appattest\x00\x00\x00\x00\x00\x00\x00",
    EvidenceEnvironment.DEVELOPMENT: b"appattestdevelop",
}
ATTESTED: Final = 0x40
EXTENDED: Final = 0x80


class InvalidKey(Exception):
    """DCError.invalidKey: the key id is unknown here, or was attested already."""


@dataclass(slots=True)
class _Key:
    private_key: ec.EllipticCurvePrivateKey
    counter: int = 0
    attested: bool = False


class SecureEnclave:
    """One app's App Attest keys on one device.

    `app_id` is "TEAMID.bundle-id". `ios` decides the shape of the objects. `ed_flag` says whether
    iOS 27 sets the ED flag before its extension map: real builds do both. `attest_calls` counts
    `attest_key`, which a well-behaved app calls once for each key.
    """

    def __init__(
        self,
        apple: FakeApple,
        *,
        app_id: str,
        environment: EvidenceEnvironment = EvidenceEnvironment.PRODUCTION,
        ios: str = "27.0",
        bundle_version: str = "1",
        validation_category: int = 4,
        ed_flag: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Make an enclave without keys."""
        self.apple = apple
        self.app_id = app_id
        self.environment = environment
        self.ios = ios
        self.bundle_version = bundle_version
        self.validation_category = validation_category
        self.ed_flag = ed_flag
        self.attest_calls = 0
        self._random = random
        self._keys: dict[str, _Key] = {}

    def generate_key(self) -> str:
        """Make a key and return its id, base64 of SHA-256 of the public key, as `generateKey` does."""
        private_key = derive_key(self._random(32), "app attest", ec.SECP256R1())
        key_id = base64.b64encode(hashlib.sha256(x963(private_key.public_key())).digest()).decode("ascii")
        self._keys[key_id] = _Key(private_key)
        return key_id

    def public_key(self, key_id: str) -> bytes:
        """Return the public key as X9.63. The real service does not show it; tests want it."""
        return x963(self._key(key_id).private_key.public_key())

    def private_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        """Return the private key, which no real device gives away; who makes bad evidence wants it."""
        return self._key(key_id).private_key

    def attest_key(self, key_id: str, client_data_hash: bytes, *, now: datetime) -> bytes:
        """Return the attestation object of a key that was not attested before. Raises `InvalidKey`."""
        self.attest_calls += 1
        key = self._key(key_id)
        if key.attested:
            raise InvalidKey(key_id)
        auth_data = self.attested_data(key_id)
        form = self.apple.leaf_form(
            key_id=base64.b64decode(key_id),
            nonce=nonce(auth_data, client_data_hash),
            app_id=self.app_id,
            ios=self.ios,
            now=now,
        )
        leaf = self.apple.issue_leaf(form, key.private_key.public_key())
        key.attested = True
        return attestation_object(leaf, self.apple.intermediate_der, auth_data)

    def generate_assertion(self, key_id: str, client_data_hash: bytes) -> bytes:
        """Return an assertion by an attested key; its counter is one higher than the last. Raises `InvalidKey`."""
        key = self._key(key_id)
        if not key.attested:
            raise InvalidKey(key_id)
        key.counter += 1
        auth_data = self.asserted_data(key.counter)
        return assertion_object(key.private_key, auth_data, client_data_hash)

    def forget_keys(self) -> None:
        """Lose every key, as a reinstall of the app or a restore of the device does."""
        self._keys.clear()

    def attested_data(self, key_id: str) -> bytes:
        """Return the authenticator data that an attestation of this key holds."""
        public_key = self.public_key(key_id)
        return b"".join(
            (
                hashlib.sha256(self.app_id.encode()).digest(),
                bytes([ATTESTED | self._extended()]),
                bytes(4),
                AAGUIDS[self.environment],
                (32).to_bytes(2),
                base64.b64decode(key_id),
                cose_key(public_key),
                self._extensions(),
            )
        )

    def asserted_data(self, counter: int) -> bytes:
        """Return the authenticator data of an assertion: AT is set although no credential data follows."""
        return b"".join(
            (
                hashlib.sha256(self.app_id.encode()).digest(),
                bytes([ATTESTED | self._extended()]),
                counter.to_bytes(4),
                self._extensions(),
            )
        )

    def _key(self, key_id: str) -> _Key:
        key = self._keys.get(key_id)
        if key is None:
            raise InvalidKey(key_id)
        return key

    def _extended(self) -> int:
        return EXTENDED if self.ed_flag and major(self.ios) >= LAUNCH_EXTENSIONS_FROM else 0

    def _extensions(self) -> bytes:
        if major(self.ios) < LAUNCH_EXTENSIONS_FROM:
            return b""
        return launch_extensions(
            {
                "apple_bundle_version_01": self.bundle_version,
                "apple_validation_category_01": self.validation_category.to_bytes(4, "little"),
            }
        )


def nonce(auth_data: bytes, client_data_hash: bytes) -> bytes:
    """Return SHA-256 over authenticator data and client data hash."""
    return hashlib.sha256(auth_data + client_data_hash).digest()


def x963(public_key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as 0x04, x, y."""
    return public_key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def cose_key(public_key: bytes) -> bytes:
    """Return an X9.63 public key as a COSE EC2 key, its members in Apple's order."""
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: public_key[1:33], -3: public_key[33:]})


def launch_extensions(entries: Mapping[str, object]) -> bytes:
    """Return the map that iOS 27 appends to authenticator data."""
    return cbor2.dumps(dict(entries))


def attestation_object(leaf: bytes, intermediate: bytes, auth_data: bytes, *, receipt: bytes | None = None) -> bytes:
    """Return the CBOR object that `attestKey` hands to the app."""
    statement = {"x5c": [leaf, intermediate], "receipt": FAKE_RECEIPT if receipt is None else receipt}
    return cbor2.dumps({"fmt": "apple-appattest", "attStmt": statement, "authData": auth_data})


def assertion_object(private_key: ec.EllipticCurvePrivateKey, auth_data: bytes, client_data_hash: bytes) -> bytes:
    """Return the CBOR object that `generateAssertion` hands to the app."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    signature = private_key.sign(nonce(auth_data, client_data_hash), algorithm)
    return cbor2.dumps({"signature": signature, "authenticatorData": auth_data})


FAKE_RECEIPT: Final = b"\x30\x80" + hashlib.shake_256(b"not a receipt").digest(3700) + bytes(4)
"""Of a real receipt's size, and verifiable by nobody."""
