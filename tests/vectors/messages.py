"""The vectors of `client_data` and `key_agreement`: the octets that an app sends, and a key that it alone derives."""

from __future__ import annotations

import hashlib
import json as plain_json
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import base64url, jwe, jwk
from bonafide.testing.apple import derive_key
from bonafide.testing.device import AttestationUnavailable, Build, Keychain, enrolment_message, renewal_message
from bonafide.testing.vectors import ACCEPT, Vector, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bonafide.testing.device import Evidence, PendingMessage

SIGN: Final = derive_key(b"vectors", "sign", ec.SECP256R1())
AGREE: Final = derive_key(b"vectors", "agree", ec.SECP256R1())
INSTANCE: Final = "aW5zdGFuY2UtMDAwMDAwMQ"
CHALLENGE: Final = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5"
VERSIONS: Final = {"app_version": "2.3.1", "os_version": "18.5", "sdk_version": "0.1.0"}


def build() -> Iterator[Vector]:
    """Yield every vector of these areas."""
    yield from _client_data()
    yield from _key_agreements()


class _Phone:
    """What a message is made of, and nothing that makes evidence."""

    def __init__(self, vector: Vector) -> None:
        self.keychain = Keychain(_private(vector.octets("sign_key")), _private(vector.octets("agree_key")))
        self.build = Build(
            app=vector.text("app"),
            identity=vector.text("identity"),
            app_version=vector.text("app_version"),
            os_version=vector.text("os_version"),
            sdk_version=vector.text("sdk_version"),
        )

    def new_key(self) -> str | None:
        """Have none."""
        return None

    def attest(self, message: PendingMessage) -> Evidence:
        """Have none."""
        raise AttestationUnavailable(message.challenge)

    def make_assertion(self, message: PendingMessage) -> Evidence:
        """Have none."""
        raise AttestationUnavailable(message.challenge)


def judge_client_data(vector: Vector) -> Mapping[str, object]:
    """Write client data as the software iPhone does."""
    phone = _Phone(vector)
    if vector.text("type") == "enrol":
        message = enrolment_message(phone, vector.text("challenge"), None)
    else:
        message = renewal_message(phone, vector.text("challenge"), vector.text("instance"))
    message.evidence = []
    return _message(message.client_data, message.body())


def judge_key_agreement(vector: Vector) -> Mapping[str, object]:
    """Agree on a key as whoever opens a session does."""
    public = jwk.parse_public({name: vector.text(f"epk_{name}") for name in ("kty", "crv", "x", "y")})
    secret = _private(vector.octets("agree_key")).exchange(ec.ECDH(), public)
    return {"key": encode(jwe.concat_kdf(secret, algorithm=vector.text("enc"), octets=32))}


def _message(client_data: bytes, body: bytes) -> Mapping[str, object]:
    digest = hashlib.sha256(client_data).digest()
    return {"client_data": encode(client_data), "client_data_hash": encode(digest), "body": encode(body)}


def _client_data() -> Iterator[Vector]:
    identity = "ABCDE12345.com.example.shop"
    for name, comment, app in (
        ("good", "Members in this order, no spaces", "shop"),
        ("good_escapes", "A quotation mark and a backslash are escaped", 'sh"o\\p'),
        ("good_slash", "A slash is not", "shop/2"),
    ):
        yield _vector(f"{name}_enrol", comment, "enrol", app, identity)
        yield _vector(f"{name}_renew", comment, "renew", app, identity)


def _vector(name: str, comment: str, kind: str, app: str, identity: str) -> Vector:
    """Return one message, its expectation written member by member and not by the code under test."""
    head = {"type": kind, "challenge": CHALLENGE, "app": app}
    keys = {"sign_jwk": jwk.from_public(SIGN.public_key()), "agree_jwk": jwk.from_public(AGREE.public_key())}
    jkt = base64url.encode(hashlib.sha256(plain_json.dumps(
        dict(sorted(keys["sign_jwk"].items())), separators=(",", ":")).encode()).digest())  # fmt: skip
    own = {"identity": identity, **keys} if kind == "enrol" else {"instance": INSTANCE, "jkt": jkt}
    client_data = plain_json.dumps({**head, **own, **VERSIONS}, separators=(",", ":")).encode()
    body = b'{"client_data":"' + base64url.encode(client_data).encode() + b'","evidence":[]}'
    given = {
        **head,
        "identity": identity,
        "instance": INSTANCE,
        "sign_key": encode(_pkcs8(SIGN)),
        "agree_key": encode(_pkcs8(AGREE)),
        **VERSIONS,
    }
    claims = _message(client_data, body)
    return Vector(name=f"client_data/{name}", comment=comment, now=None, input=given, expect=ACCEPT, claims=claims)


def _key_agreements() -> Iterator[Vector]:
    for name, comment, label in (
        ("good", "RFC 7518 section 4.6.2, no party infos", "ephemeral"),
        ("good_other", "Another ephemeral key, another content key", "ephemeral 2"),
    ):
        ephemeral = derive_key(b"vectors", label, ec.SECP256R1())
        algorithm = b"A256GCM"
        info = len(algorithm).to_bytes(4) + algorithm + bytes(8) + (256).to_bytes(4)
        secret = ephemeral.exchange(ec.ECDH(), AGREE.public_key())
        given = {
            "agree_key": encode(_pkcs8(AGREE)),
            **{f"epk_{name}": value for name, value in jwk.from_public(ephemeral.public_key()).items()},
            "enc": algorithm.decode(),
        }
        claims = {"key": encode(hashlib.sha256((1).to_bytes(4) + secret + info).digest())}
        yield Vector(name=f"key_agreement/{name}", comment=comment, now=None, input=given, expect=ACCEPT, claims=claims)


def _private(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_der_private_key(der, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
