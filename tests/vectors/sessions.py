"""The vectors of `session`, `key_schedule` and `challenge`: what a device opens, derives and presents."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide import challenge
from bonafide.challenge import ChallengeKey, ChallengeScope, Purpose
from bonafide.codec import base64url, json, jwe, jwk
from bonafide.codec.jose import sign_es256
from bonafide.session import TYPE, mac_key, open_session, session_key
from bonafide.terms import Environment
from bonafide.testing.apple import derive_key
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.gate_world import JKT, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVICE: Final = derive_key(b"vectors", "service", ec.SECP256R1())
SPARE: Final = derive_key(b"vectors", "spare", ec.SECP256R1())
THIEF: Final = derive_key(b"vectors", "thief", ec.SECP256R1())
AGREE: Final = derive_key(b"vectors", "agree", ec.SECP256R1())
EPHEMERAL: Final = derive_key(b"vectors", "ephemeral", ec.SECP256R1())
IV: Final = bytes(range(12))
PRESENTED: Final = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2Nzg5"
EXPIRES: Final = int((NOW + timedelta(minutes=5)).timestamp())


def build() -> Iterator[Vector]:
    """Yield every vector of these areas."""
    yield from _schedules()
    yield from _sessions()
    yield from _challenges()


def judge_schedule(vector: Vector) -> Mapping[str, object]:
    """Derive the session key and the key that signs under it."""
    key = session_key(
        vector.octets("gate_key"),
        sid=vector.octets("sid"),
        app=vector.text("app"),
        jkt=vector.text("jkt"),
        expires=vector.number("exp"),
    )
    return {"session_key": encode(key), "mac_key": encode(mac_key(key))}


def judge_session(vector: Vector) -> Mapping[str, object]:
    """Open a session as the device does."""
    agree = serialization.load_der_private_key(vector.octets("agree_key"), password=None)
    assert isinstance(agree, ec.EllipticCurvePrivateKey)
    opened = open_session(
        vector.text("session"),
        agree_key=agree,
        pinned=vector.texts("pinned"),
        app=vector.text("app"),
        instance=vector.text("instance"),
        jkt=vector.text("jkt"),
        challenge=vector.text("challenge"),
    )
    return {
        "sid": encode(opened.sid),
        "key": encode(opened.key),
        "iat": int(opened.issued_at.timestamp()),
        "exp": int(opened.expires_at.timestamp()),
    }


def judge_challenge(vector: Vector) -> Mapping[str, object]:
    """Verify a challenge as the service does."""
    scope = ChallengeScope(
        service=vector.text("service"),
        environment=Environment(vector.text("environment")),
        app=vector.text("app"),
        purpose=Purpose(vector.text("purpose")),
    )
    key = ChallengeKey(secret=vector.octets("key"))
    verified = challenge.verify(vector.text("challenge"), key, scope=scope, now=vector.moment())
    return {"digest": encode(verified.digest), "order": verified.order}


def _schedules() -> Iterator[Vector]:
    good: dict[str, Any] = {
        "gate_key": encode(bytes(range(32))),
        "sid": encode(bytes(range(16))),
        "app": "shop",
        "jkt": JKT,
        "exp": EXPIRES,
    }
    changes: dict[str, tuple[str, dict[str, Any]]] = {
        "good": ("PROTOCOL section 5", {}),
        "good_other_app": ("The app is hashed, whatever its length", {"app": "com.example.shop.of.some.length"}),
        "good_other_expiry": ("One second later, another key", {"exp": EXPIRES + 1}),
        "good_other_sid": ("Another session of the same token", {"sid": encode(bytes(16))}),
        "good_expiry_zero": ("The expiry has 8 octets, also where they are zero", {"exp": 0}),
    }
    for name, (comment, change) in changes.items():
        given = {**good, **change}
        info = b"bonafide session\0" + hashlib.sha256(given["app"].encode()).digest()
        info += given["jkt"].encode() + given["exp"].to_bytes(8, "big")
        key = _hkdf(base64.b64decode(given["gate_key"]), base64.b64decode(given["sid"]), info)
        claims = {"session_key": encode(key), "mac_key": encode(_hkdf(key, b"", b"bonafide mac"))}
        yield Vector(name=f"key_schedule/{name}", comment=comment, now=None, input=given, expect=ACCEPT, claims=claims)


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Derive 32 octets as RFC 5869 writes it down, not by the library under test."""
    extracted = _hmac(salt or bytes(32), key)
    return _hmac(extracted, info + b"\x01")


def _hmac(key: bytes, message: bytes) -> bytes:
    """RFC 2104, for keys of at most one block."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in padded) + message).digest()
    return hashlib.sha256(bytes(octet ^ 0x5C for octet in padded) + inner).digest()


def _claims(**changes: object) -> dict[str, object]:
    issued = int(NOW.timestamp())
    good: dict[str, object] = {
        "app": "shop",
        "inst": "aW5zdGFuY2UtMDAwMDAwMQ",
        "jkt": JKT,
        "challenge": PRESENTED,
        "sid": base64url.encode(bytes(range(16))),
        "key": base64url.encode(bytes(range(32))),
        "iat": issued,
        "exp": EXPIRES,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def _session(name: str, comment: str, expect: str = ACCEPT, **how: Any) -> Vector:
    """Return the vector of one session; `how` changes its claims, its headers, its keys or what it is opened with."""
    signer: ec.EllipticCurvePrivateKey = how.get("signer", SERVICE)
    named = how.get("named", signer)
    header = {"alg": "ES256", "typ": TYPE, "jwk": jwk.from_public(named.public_key()), **how.get("inside", {})}
    claims = how.get("claims", _claims())
    signed = how.get("edit_inside", str)(sign_es256(header, json.dump(claims), signer)).encode()
    recipient = how.get("recipient", AGREE).public_key()
    outside = how.get("outside", {"cty": "JWT"})
    sealed = jwe.encrypt(how.get("plain", signed), recipient=recipient, header=outside, ephemeral=EPHEMERAL, iv=IV)
    pins = [jwk.thumbprint(jwk.from_public(key.public_key())) for key in (SERVICE, SPARE)]
    agree_key = AGREE.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    given = {
        "session": how.get("edit", str)(sealed),
        "agree_key": encode(agree_key),
        "pinned": pins,
        "app": "shop",
        "instance": "aW5zdGFuY2UtMDAwMDAwMQ",
        "jkt": JKT,
        "challenge": PRESENTED,
        **how.get("opened_with", {}),
    }
    proven = {
        "sid": encode(bytes(range(16))),
        "key": encode(bytes(range(32))),
        "iat": claims.get("iat"),
        "exp": claims.get("exp"),
    }
    accepted = expect == ACCEPT
    return Vector(
        name=f"session/{name}",
        comment=comment,
        now=None,
        input=given,
        expect=expect if accepted else f"session.{expect}",
        claims=proven if accepted else None,
    )


def _sessions() -> Iterator[Vector]:
    yield _session("good", "By the service key")
    yield _session("good_spare", "By the spare service key", signer=SPARE)
    yield _session("good_longest", "60 minutes", claims=_claims(exp=int(NOW.timestamp()) + 3600))
    yield _session("other_service", "By a key that is not pinned", "service_key_not_pinned", signer=THIEF)
    yield _session(
        "other_service_named_ours", "By a thief, with our key in the header", "signature_invalid",
        signer=THIEF, named=SERVICE,
    )  # fmt: skip
    yield _session("other_device", "Sealed to another device", "decryption_failed", recipient=THIEF)
    for name, comment, edit in (
        ("tag_edited", "The tag was edited", lambda token: token[:-2] + ("AA" if token[-2:] != "AA" else "BA")),
        ("ciphertext_edited", "The ciphertext was edited", _edit_part(3)),
        ("iv_edited", "The nonce was edited", _edit_part(2)),
    ):
        yield _session(name, comment, "decryption_failed", edit=edit)
    yield _session("four_parts", "A part is missing", "malformed", edit=lambda token: token.rpartition(".")[0])
    yield _session("key_encrypted", "An encrypted key, where there is none", "malformed", edit=_edit_part(1))
    yield _session("plain_text", "No JWS inside", "malformed", plain=b"secret")
    yield _session("no_cty", "No cty", "header_refused", outside={})
    yield _session("cty_other", "Another cty", "header_refused", outside={"cty": "JWE"})
    yield _session("typ_other", "Another typ inside", "header_refused", inside={"typ": "JWT"})
    yield _session("kid", "A kid inside", "header_refused", inside={"kid": "x"})
    yield from _other_headers()
    for name, change in (
        ("app_other", {"app": "other"}),
        ("instance_other", {"inst": "aW5zdGFuY2UtMDAwMDAwMg"}),
        ("jkt_other", {"jkt": JKT[::-1]}),
        ("challenge_other", {"challenge": PRESENTED[::-1]}),
    ):
        member = name.partition("_")[0]
        yield _session(name, "Not what the device sent", f"{member}_mismatch", claims=_claims(**change))
    malformed: dict[str, dict[str, object]] = {
        "claim_missing": {"sid": None},
        "claim_added": {"nbf": 0},
        "sid_short": {"sid": "AAAA"},
        "key_short": {"key": "AAAA"},
        "key_padded": {"key": base64url.encode(bytes(32)) + "="},
        "iat_text": {"iat": "0"},
    }
    for name, changed in malformed.items():
        yield _session(name, "Other claims", "claims_malformed", claims=_claims(**changed))
    issued = int(NOW.timestamp())
    yield _session("lifetime_none", "Ends as it begins", "lifetime_refused", claims=_claims(exp=issued))
    yield _session("lifetime_long", "One second over", "lifetime_refused", claims=_claims(exp=issued + 3601))


def _other_headers() -> Iterator[Vector]:
    yield _session("kid_outside", "A kid outside", "header_refused", outside={"cty": "JWT", "kid": "x"})
    for name, change in (("alg_other", {"alg": "ECDH-ES+A256KW"}), ("enc_other", {"enc": "A128GCM"})):
        yield _session(name, "Another algorithm outside", "header_refused", edit=_edit_header(change))
    edit_inside = _edit_header({"alg": "none"})
    yield _session("alg_inside_other", "No algorithm inside", "header_refused", edit_inside=edit_inside)
    ephemeral, ours = (jwk.from_public(key.public_key()) for key in (EPHEMERAL, SERVICE))
    for name, other in (("kty_other", {"kty": "OKP"}), ("crv_other", {"crv": "P-384"})):
        comment = "No key on P-256, by its own word"
        yield _session(name, f"{comment}: outside", "malformed", edit=_edit_header({"epk": ephemeral | other}))
        yield _session(f"{name}_inside", f"{comment}: inside", "malformed", inside={"jwk": ours | other})


def _edit_header(change: Mapping[str, object]) -> Any:
    """Return what says something else in the header of a token, which nothing then covers."""

    def edit(token: str) -> str:
        header, _, rest = token.partition(".")
        members = json.parse_object(base64url.decode(header)) | dict(change)
        return f"{base64url.encode(json.dump(members))}.{rest}"

    return edit


def _edit_part(index: int) -> Any:
    def edit(token: str) -> str:
        parts = token.split(".")
        octets = bytearray(base64url.decode(parts[index]) or b"\0")
        octets[0] ^= 1
        parts[index] = base64url.encode(bytes(octets))
        return ".".join(parts)

    return edit


def _challenges() -> Iterator[Vector]:
    key = ChallengeKey(secret=bytes(range(32)))
    scope = ChallengeScope(
        service="https://api.example.com/bonafide/v1",
        environment=Environment.PRODUCTION,
        app="shop",
        purpose=Purpose.ENROL,
    )
    issued = challenge.issue(
        key, scope=scope, expires_at=NOW + timedelta(hours=24), random=lambda size: bytes(range(size))
    )
    good: dict[str, object] = {
        "challenge": issued.text,
        "key": encode(key.secret),
        "service": scope.service,
        "environment": scope.environment.value,
        "app": scope.app,
        "purpose": scope.purpose.value,
    }
    claims = {"digest": encode(hashlib.sha256(issued.text.encode()).digest()), "order": issued.order}
    cases: dict[str, tuple[str, str, dict[str, object], timedelta]] = {
        "good": ("As issued", ACCEPT, {}, timedelta()),
        "good_last": ("A microsecond before its end", ACCEPT, {}, timedelta(hours=24, microseconds=-1)),
        "expired": ("At its end", "expired", {}, timedelta(hours=24)),
        "purpose_other": ("For another purpose", "mac_mismatch", {"purpose": "renew"}, timedelta()),
        "app_other": ("For another app", "mac_mismatch", {"app": "other"}, timedelta()),
        "environment_other": ("For another environment", "mac_mismatch", {"environment": "staging"}, timedelta()),
        "service_other": ("By another service", "mac_mismatch", {"service": f"{scope.service}/"}, timedelta()),
        "key_other": ("Under another key", "mac_mismatch", {"key": encode(bytes(32))}, timedelta()),
        "random_edited": ("Edited", "mac_mismatch", {"challenge": _with_octet(issued.text, 5, 9)}, timedelta()),
        "expiry_edited": ("A later end", "mac_mismatch", {"challenge": _with_octet(issued.text, 20, 255)}, timedelta()),
        "version_other": ("Version 2", "version_unknown", {"challenge": _with_octet(issued.text, 0, 2)}, timedelta()),
        "short": ("A character less", "malformed", {"challenge": issued.text[:-1]}, timedelta()),
        "long": ("Three octets more", "malformed", {"challenge": f"{issued.text}AAAA"}, timedelta()),
        "padded": ("Padding", "malformed", {"challenge": f"{issued.text}="}, timedelta()),
        "empty": ("Nothing", "malformed", {"challenge": ""}, timedelta()),
    }
    for name, (comment, expect, change, later) in cases.items():
        accepted = expect == ACCEPT
        yield Vector(
            name=f"challenge/{name}",
            comment=comment,
            now=NOW + later,
            input={**good, **change},
            expect=expect if accepted else f"challenge.{expect}",
            claims=claims if accepted else None,
        )


def _with_octet(text: str, index: int, value: int) -> str:
    octets = bytearray(base64url.decode(text))
    octets[index] = value
    return base64url.encode(bytes(octets))
