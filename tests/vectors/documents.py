"""The vectors of `document`: secrets, configuration and pins, as an app opens them."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide import documents
from bonafide.codec import json, jwe, jwk
from bonafide.codec.jose import sign_es256
from bonafide.documents import Addressee
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.gate_world import JKT, NOW
from tests.vectors.sessions import AGREE, EPHEMERAL, IV, SERVICE, SPARE, THIEF, _edit_header, _edit_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INSTANCE: Final = "aW5zdGFuY2UtMDAwMDAwMQ"
BASE: Final = (
    b'"@method": GET\n"@scheme": https\n"@authority": api.example.com\n"@path": /bonafide/v1/secrets\n"@query": ?\n'
    b'"@signature-params": ("@method" "@scheme" "@authority" "@path" "@query");created=1793534400'
)
QUESTION: Final = base64.urlsafe_b64encode(hashlib.sha256(BASE).digest()).rstrip(b"=").decode()
ISSUED: Final = int(NOW.timestamp())
EXPIRES: Final = ISSUED + 3600
SECRETS: Final = {"maps.api_key": "vector-maps-key", "übung": "ä\u0000\n😀"}
VALUES: Final = {"colour": "blue", "limits": {"items": 20, "share": 0.5}, "flags": [True, None, "x"], "none": {}}
_PINS: Final = [base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"leaf", b"spare", b"third")]
PINS: Final = {"api.example.com": _PINS[:2], "xn--mnchen-3ya.example": _PINS}

_TYPES: Final = {
    "secrets": "bonafide-secrets+jwt",
    "public_configuration": "bonafide-configuration+jwt",
    "sealed_configuration": "bonafide-configuration+jwt",
    "pins": "bonafide-pins+jwt",
}
_SEALED: Final = ("secrets", "sealed_configuration")


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    yield Vector(
        name="document/question", comment="SHA-256 of the signature base", now=None,
        input={"kind": "question", "base": encode(BASE)}, expect=ACCEPT, claims={"question": QUESTION},
    )  # fmt: skip
    for kind in _TYPES:
        yield from _signed(kind)
        yield from _claimed(kind)
        yield from _sealed(kind) if kind in _SEALED else _public(kind)
    yield from _contents()


def judge_document(vector: Vector) -> Mapping[str, object]:
    """Open a document as the app does."""
    kind = vector.text("kind")
    if kind == "question":
        return {"question": documents.question_of(vector.octets("base"))}
    token, pinned, now = vector.text("token"), vector.texts("pinned"), vector.moment()
    if kind == "pins":
        pins = documents.open_pins(token, pinned=pinned, app=vector.text("app"), seen=vector.number("seen"), now=now)
        hosts = {host: list(values) for host, values in pins.pins.items()}
        return {"version": pins.version, "exp": int(pins.expires_at.timestamp()), "pins": hosts}
    if kind == "public_configuration":
        public = documents.open_public_configuration(
            token, pinned=pinned, app=vector.text("app"), seen=vector.number("seen"), now=now
        )
        return {**_validity(public.validity), "values": public.values}
    agree = serialization.load_der_private_key(vector.octets("agree_key"), password=None)
    assert isinstance(agree, ec.EllipticCurvePrivateKey)
    addressee = Addressee(**{name: vector.text(name) for name in ("app", "instance", "jkt", "question")})
    if kind == "secrets":
        opened = documents.open_secrets(token, agree_key=agree, pinned=pinned, addressee=addressee, now=now)
        return {**_validity(opened.validity), "secrets": opened.secrets}
    sealed = documents.open_sealed_configuration(token, agree_key=agree, pinned=pinned, addressee=addressee, now=now)
    return {**_validity(sealed.validity), "values": sealed.values}


def _validity(validity: documents.Validity) -> dict[str, object]:
    issued, expires = (int(moment.timestamp()) for moment in (validity.issued_at, validity.expires_at))
    return {"version": validity.version, "iat": issued, "exp": expires}


def _claims(kind: str, **changes: object) -> dict[str, object]:
    good: dict[str, object] = {"app": "shop"}
    if kind in _SEALED:
        good |= {"inst": INSTANCE, "jkt": JKT, "question": QUESTION}
    if kind != "pins":
        good |= {"iat": ISSUED}
    good |= {"exp": EXPIRES, "version": 7}
    content = {"secrets": SECRETS, "pins": PINS}.get(kind, VALUES)
    good |= {kind if kind in {"secrets", "pins"} else "values": content}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def _vector(kind: str, name: str, comment: str, expect: str = ACCEPT, **how: Any) -> Vector:
    """Return the vector of one document; `how` changes claims, headers, keys, or what it is opened with."""
    signer: ec.EllipticCurvePrivateKey = how.get("signer", SERVICE)
    named = how.get("named", signer)
    header = {"alg": "ES256", "typ": _TYPES[kind], "jwk": jwk.from_public(named.public_key()), **how.get("inside", {})}
    claims = how.get("claims", _claims(kind))
    token = how.get("edit_inside", str)(sign_es256(header, how.get("payload", json.dump(claims)), signer))
    given: dict[str, object] = {"kind": kind, "token": token, "pinned": [_thumbprint(SERVICE), _thumbprint(SPARE)]}
    given["app"] = "shop"
    if kind in _SEALED:
        token = jwe.encrypt(
            how.get("plain", token.encode()),
            recipient=how.get("recipient", AGREE).public_key(),
            header=how.get("outside", {"cty": "JWT"}),
            ephemeral=EPHEMERAL,
            iv=IV,
        )
        given |= {"agree_key": encode(_pkcs8(AGREE)), "instance": INSTANCE, "jkt": JKT, "question": QUESTION}
    else:
        given |= {"seen": 7}
    given |= {"token": how.get("edit", str)(how.get("token", token)), **how.get("opened_with", {})}
    proven = {name: claims[name] for name in ("version", "iat", "exp", "secrets", "values", "pins") if name in claims}
    accepted = expect == ACCEPT
    return Vector(
        name=f"document/{kind}_{name}",
        comment=comment,
        now=NOW + how.get("later", timedelta()),
        input=given,
        expect=expect if accepted else f"document.{expect}",
        claims=proven if accepted else None,
    )


def _thumbprint(key: ec.EllipticCurvePrivateKey) -> str:
    return jwk.thumbprint(jwk.from_public(key.public_key()))


def _pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _signed(kind: str) -> Iterator[Vector]:
    """Yield who signed, and as what."""
    yield _vector(kind, "good", "By the service key")
    yield _vector(kind, "good_spare", "By the spare service key", signer=SPARE)
    yield _vector(kind, "other_service", "By a key that is not pinned", "service_key_not_pinned", signer=THIEF)
    yield _vector(
        kind, "other_service_named_ours", "By a thief, with our key in the header", "signature_invalid",
        signer=THIEF, named=SERVICE,
    )  # fmt: skip
    yield _vector(
        kind, "no_pins", "The app carries no thumbprint", "service_key_not_pinned", opened_with={"pinned": []}
    )
    for name, typ in (
        ("typ_session", "bonafide-session+jwt"),
        ("typ_secrets", _TYPES["secrets"]),
        ("typ_configuration", _TYPES["public_configuration"]),
        ("typ_pins", _TYPES["pins"]),
        ("typ_upper", _TYPES[kind].upper()),
    ):
        if typ != _TYPES[kind]:
            yield _vector(kind, name, "A document of another kind, signed by us", "header_refused", inside={"typ": typ})
    yield _vector(kind, "kid_inside", "A kid in the signed header", "header_refused", inside={"kid": "x"})
    alg_none = _edit_header({"alg": "none"})
    yield _vector(kind, "alg_inside_other", "No algorithm inside", "header_refused", edit_inside=alg_none)
    other = jwk.from_public(SERVICE.public_key()) | {"crv": "P-384"}
    yield _vector(kind, "crv_inside_other", "No key on P-256, by its own word", "malformed", inside={"jwk": other})


def _claimed(kind: str) -> Iterator[Vector]:
    """Yield what the claims say, signed by us."""
    content = kind if kind in {"secrets", "pins"} else "values"
    yield _vector(kind, "app_other", "For another app", "app_mismatch", claims=_claims(kind, app="other"))
    malformed: dict[str, dict[str, object]] = {
        "claim_missing": {"version": None},
        "claim_added": {"nbf": 0},
        "app_number": {"app": 1},
        "exp_text": {"exp": "0"},
        "exp_true": {"exp": True},
        "exp_fraction": {"exp": EXPIRES + 0.5},
        "exp_negative": {"exp": -1},
        "exp_year_10000": {"exp": 253402300800},
        "version_text": {"version": "7"},
        "version_negative": {"version": -1},
        "content_list": {content: []},
        "content_text": {content: "x"},
    }
    for name, change in malformed.items():
        yield _vector(kind, name, "Other claims", "claims_malformed", claims=_claims(kind, **change))
    twice = json.dump(_claims(kind)).replace(b'"version":7', b'"version":6,"version":7')
    yield _vector(kind, "version_twice", "A claim twice", "claims_malformed", payload=twice)
    yield _vector(kind, "expired", "At its end", "expired", later=timedelta(hours=1))
    last = timedelta(hours=1, microseconds=-1)
    yield _vector(kind, "good_last", "A microsecond before its end", later=last)
    yield _vector(kind, "good_year_9999", "The last second that there is", claims=_claims(kind, exp=253402214400))
    yield _vector(kind, "good_version_greatest", "2^53 - 1", claims=_claims(kind, version=2**53 - 1))
    yield _vector(kind, "version_beyond", "2^53", "claims_malformed", claims=_claims(kind, version=2**53))
    long = {"token": "A" * 65537}
    yield _vector(kind, "too_long", "A character over 64 KiB", "malformed", **long)


def _public(kind: str) -> Iterator[Vector]:
    yield _vector(kind, "good_first", "The app has seen none", opened_with={"seen": 0})
    yield _vector(kind, "good_newer", "Above the highest seen", opened_with={"seen": 6})
    yield _vector(kind, "version_lower", "Below the highest seen", "version_lower", opened_with={"seen": 8})
    yield _vector(kind, "good_version_0", "Nothing was set", claims=_claims(kind, version=0), opened_with={"seen": 0})
    yield _vector(kind, "two_parts", "A part is missing", "malformed", edit=lambda token: token.rpartition(".")[0])
    for name, part in (("payload_edited", 1), ("signature_edited", 2)):
        yield _vector(kind, name, "An octet was edited", "signature_invalid", edit=_edit_part(part))


def _sealed(kind: str) -> Iterator[Vector]:
    yield _vector(kind, "other_device", "Sealed to another device", "decryption_failed", recipient=THIEF)
    for name, part in (("iv_edited", 2), ("ciphertext_edited", 3), ("tag_edited", 4)):
        yield _vector(kind, name, "An octet was edited", "decryption_failed", edit=_edit_part(part))
    yield _vector(kind, "four_parts", "A part is missing", "malformed", edit=lambda token: token.rpartition(".")[0])
    yield _vector(kind, "key_encrypted", "An encrypted key, where there is none", "malformed", edit=_edit_part(1))
    yield _vector(kind, "plain_text", "No JWS inside", "malformed", plain=b"secret")
    yield _vector(kind, "no_cty", "No cty", "header_refused", outside={})
    yield _vector(kind, "cty_other", "Another cty", "header_refused", outside={"cty": "JWE"})
    yield _vector(kind, "kid_outside", "A kid outside", "header_refused", outside={"cty": "JWT", "kid": "x"})
    for name, change in (("alg_other", {"alg": "ECDH-ES+A256KW"}), ("enc_other", {"enc": "A128GCM"})):
        yield _vector(kind, name, "Another algorithm outside", "header_refused", edit=_edit_header(change))
    for name, change in (
        ("instance_other", {"inst": "aW5zdGFuY2UtMDAwMDAwMg"}),
        ("jkt_other", {"jkt": JKT[::-1]}),
        ("question_other", {"question": QUESTION[::-1]}),
    ):
        member = name.partition("_")[0]
        yield _vector(kind, name, "Not who or what asked", f"{member}_mismatch", claims=_claims(kind, **change))
    for member in ("inst", "jkt", "question", "iat"):
        yield _vector(
            kind, f"{member}_missing", "Another form", "claims_malformed", claims=_claims(kind, **{member: None})
        )
    for member in ("inst", "jkt", "question"):
        yield _vector(kind, f"{member}_number", "No text", "claims_malformed", claims=_claims(kind, **{member: 1}))


def _contents() -> Iterator[Vector]:
    """Yield what stands in for the content."""
    yield _vector("secrets", "good_none", "No secrets are set", claims=_claims("secrets", secrets={}, version=0))
    for name, value in (("number", 1), ("null", None), ("object", {"a": "b"}), ("list", ["a"])):
        changed = _claims("secrets", secrets={**SECRETS, "x": value})
        yield _vector("secrets", f"value_{name}", "A secret that is no text", "claims_malformed", claims=changed)
    public, sealed = "public_configuration", "sealed_configuration"
    yield _vector(public, "good_none", "Nothing is set", claims=_claims(public, values={}))
    yield _vector(public, "sealed_form", "The sealed form, signed alone", "claims_malformed", claims=_claims(sealed))
    yield _vector(
        sealed, "public_form", "The public form, sealed by a proxy", "claims_malformed", claims=_claims(public)
    )
    yield _vector("pins", "good_none", "No host is pinned", claims=_claims("pins", pins={}))
    yield _vector("pins", "iat", "The form of the others", "claims_malformed", claims=_claims("pins", iat=ISSUED))
    hosts = {f"h{index}.example": _PINS[:2] for index in range(65)}
    yield _vector("pins", "hosts_65", "A host too many", "claims_malformed", claims=_claims("pins", pins=hosts))
    hosts.popitem()
    yield _vector("pins", "good_hosts_64", "As many hosts as there may be", claims=_claims("pins", pins=hosts))
    many = [base64.b64encode(hashlib.sha256(bytes([index])).digest()).decode() for index in range(17)]
    lists: dict[str, object] = {
        "one": _PINS[:1],
        "none": [],
        "twice": [_PINS[0], _PINS[0]],
        "seventeen": many,
        "text": _PINS[0],
        "number": [_PINS[0], 1],
        "base64url": [_PINS[0], "_" * 42 + "8="],
        "unpadded": [_PINS[0], _PINS[1][:-1]],
        "short": [_PINS[0], base64.b64encode(bytes(31)).decode()],
        "other_spelling": [_PINS[0], "A" * 42 + "B="],
        "prefixed": [_PINS[0], f"sha256/{_PINS[1]}"],
    }
    for name, pins in lists.items():
        changed = _claims("pins", pins={"api.example.com": pins})
        yield _vector("pins", f"pins_{name}", "Not two to sixteen pins", "claims_malformed", claims=changed)
    changed = _claims("pins", pins={"api.example.com": many[:16]})
    yield _vector("pins", "good_sixteen", "As many pins as a host may have", claims=changed)
    for name, host in (
        ("upper", "API.example.com"),
        ("port", "api.example.com:443"),
        ("wildcard", "*.example.com"),
        ("final_dot", "api.example.com."),
        ("empty", ""),
        ("unicode", "münchen.example"),
        ("underscore", "a_b.example"),
        ("hyphen", "-a.example"),
        ("label_64", f"{'a' * 64}.example"),
        ("long", ".".join(["a" * 63] * 4)),
        ("line", "api.example.com\n"),
    ):
        changed = _claims("pins", pins={host: _PINS[:2]})
        yield _vector("pins", f"host_{name}", "No host name in its one form", "claims_malformed", claims=changed)
