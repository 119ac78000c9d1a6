"""A nested JWT opens for its device under a pinned key, and says of a refusal whether it was outside or inside."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import jwe, jwk, nested_jwt, pinned_jws
from bonafide.errors import BonafideError, MalformedEvidence, Misuse, VerificationFailed
from bonafide.reasons import Reason
from bonafide.reasons import jose as reasons

_AGREE, _SIGNER, _EPHEMERAL = (ec.derive_private_key(number, ec.SECP256R1()) for number in (201, 202, 203))
_PINNED = {jwk.thumbprint(jwk.from_public(_SIGNER.public_key()))}
_TYP = "example+jwt"


def _seal(payload: bytes = b"{}", *, typ: str = _TYP, iv: bytes = bytes(12)) -> str:
    return nested_jwt.seal(payload, typ=typ, signer=_SIGNER, recipient=_AGREE.public_key(), ephemeral=_EPHEMERAL, iv=iv)


def _sealed(inner: bytes, header: dict[str, str]) -> str:
    return jwe.encrypt(inner, recipient=_AGREE.public_key(), header=header, ephemeral=_EPHEMERAL, iv=bytes(12))


def _open(token: str, *, max_bytes: int = 8192, key: ec.EllipticCurvePrivateKey = _AGREE) -> bytes:
    return nested_jwt.open_sealed(token, typ=_TYP, agree_key=key, pinned=_PINNED, max_bytes=max_bytes)


def _refused(token: str, kind: type[BonafideError], reason: Reason, detail: str) -> None:
    with pytest.raises(kind) as refusal:
        _open(token)
    assert (refusal.value.reason, refusal.value.detail) == (reason, detail)


def test_what_was_sealed_opens() -> None:
    assert _open(_seal(b'{"a":1}')) == b'{"a":1}'


def test_another_device_opens_nothing() -> None:
    with pytest.raises(VerificationFailed) as refusal:
        _open(_seal(), key=ec.derive_private_key(204, ec.SECP256R1()))
    assert (refusal.value.reason, refusal.value.detail) == (reasons.DECRYPTION_FAILED, "outside")


def test_a_refusal_says_where_it_was() -> None:
    good = pinned_jws.sign(b"{}", typ=_TYP, key=_SIGNER).encode()
    _refused(_seal(typ="other+jwt"), VerificationFailed, reasons.HEADER_REFUSED, "inside")
    _refused(_sealed(good, {}), VerificationFailed, reasons.HEADER_REFUSED, "outside")
    _refused(_sealed(good, {"cty": "jwt"}), VerificationFailed, reasons.HEADER_REFUSED, "outside")
    _refused(_sealed(good, {"cty": "JWT", "kid": "a"}), VerificationFailed, reasons.HEADER_REFUSED, "outside")
    _refused("a.b", MalformedEvidence, reasons.JWE_MALFORMED, "outside: jose.jwe_malformed")
    _refused(_sealed(b"no jws", {"cty": "JWT"}), MalformedEvidence, reasons.JWS_MALFORMED, "inside: jose.jws_malformed")
    _refused(_sealed("é".encode(), {"cty": "JWT"}), MalformedEvidence, reasons.JWS_MALFORMED, "inside: not ASCII")


def test_a_longer_token_than_the_caller_allows_is_refused() -> None:
    token = _seal()
    assert _open(token, max_bytes=len(token)) == b"{}"
    with pytest.raises(MalformedEvidence):
        _open(token, max_bytes=len(token) - 1)


def test_an_iv_of_another_size_is_the_programs_fault() -> None:
    with pytest.raises(Misuse) as refusal:
        _seal(iv=bytes(11))
    assert refusal.value.reason is reasons.KEY_UNFIT
