"""A JWS that brings its key is taken under a pinned thumbprint only."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec import jose, jwk, pinned_jws
from bonafide.errors import BonafideError
from bonafide.reasons import jose as reasons

KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
PINNED = frozenset([jwk.thumbprint(jwk.from_public(KEY.public_key()))])


def refused(token: str, reason: object, *, typ: str = "a+jwt", max_bytes: int = 8192) -> None:
    with pytest.raises(BonafideError) as refusal:
        pinned_jws.verify(token, typ=typ, pinned=PINNED, max_bytes=max_bytes)
    assert refusal.value.reason is reason


def test_payload_under_a_pinned_key_is_returned() -> None:
    token = pinned_jws.sign(b"what was said", typ="a+jwt", key=KEY)
    assert pinned_jws.verify(token, typ="a+jwt", pinned=PINNED) == b"what was said"


def test_key_that_is_not_pinned_is_refused() -> None:
    refused(pinned_jws.sign(b"x", typ="a+jwt", key=OTHER), reasons.SIGNER_NOT_PINNED)


def test_pinned_key_over_a_foreign_signature_is_refused() -> None:
    header = {"alg": "ES256", "typ": "a+jwt", "jwk": jwk.from_public(KEY.public_key())}
    refused(jose.sign_es256(header, b"x", OTHER), reasons.SIGNATURE_INVALID)


def test_token_of_another_type_is_refused() -> None:
    refused(pinned_jws.sign(b"x", typ="b+jwt", key=KEY), reasons.HEADER_REFUSED)


@pytest.mark.parametrize("more", [{"kid": "x"}, {"crit": ["x"]}, {"jku": "https://evil.example"}])
def test_further_header_members_are_refused(more: dict[str, object]) -> None:
    header = {"alg": "ES256", "typ": "a+jwt", "jwk": jwk.from_public(KEY.public_key()), **more}
    refused(jose.sign_es256(header, b"x", KEY), reasons.HEADER_REFUSED)


@pytest.mark.parametrize("public", [None, "key", ["key"]])
def test_header_whose_key_is_no_object_is_refused(public: object) -> None:
    refused(jose.sign_es256({"alg": "ES256", "typ": "a+jwt", "jwk": public}, b"x", KEY), reasons.HEADER_REFUSED)


def test_key_that_is_no_point_is_refused() -> None:
    spoiled = {**jwk.from_public(KEY.public_key()), "x": "AAAA"}
    refused(jose.sign_es256({"alg": "ES256", "typ": "a+jwt", "jwk": spoiled}, b"x", KEY), reasons.JWK_MALFORMED)


def test_longer_token_than_its_reader_takes_is_refused() -> None:
    token = pinned_jws.sign(b"x" * 500, typ="a+jwt", key=KEY)
    refused(token, reasons.JWS_MALFORMED, max_bytes=len(token) - 1)
