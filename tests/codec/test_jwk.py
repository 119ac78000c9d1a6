"""A JWK is exactly four members and a point on P-256."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jwt  # noqa: TID251 - the second opinion
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from bonafide.codec import base64url, jwk
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from pathlib import Path

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_KEY = ec.derive_private_key(20261101, ec.SECP256R1()).public_key()
_JWK = jwk.from_public(_KEY)
_MEMBER_VALUES: st.SearchStrategy[object] = st.sampled_from(
    ["EC", "P-256", _JWK["x"], _JWK["y"], "", "A=", "é", 1, None, []]
)


def _refusal(document: dict[str, object]) -> str:
    with pytest.raises(MalformedEvidence) as refusal:
        jwk.parse_public(document)
    assert refusal.value.reason is reasons.JWK_MALFORMED
    return refusal.value.detail


def _coordinate(number: int) -> str:
    return base64url.encode(number.to_bytes(32, "big"))


def test_a_key_is_spelled_and_read_again() -> None:
    assert list(_JWK) == ["kty", "crv", "x", "y"]
    assert jwk.parse_public(_JWK) == _KEY


def test_a_key_of_another_curve_is_the_programs_fault() -> None:
    with pytest.raises(Misuse) as refusal:
        jwk.from_public(ec.derive_private_key(7, ec.SECP384R1()).public_key())
    assert refusal.value.reason is reasons.KEY_UNFIT


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"kty": "ec"},
        {"kty": None},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": {}},
        {"kid": "a"},
        {"use": "sig"},
        {"alg": "ES256"},
        {"d": _JWK["x"]},
        {"X": _JWK["x"]},
    ],
)
def test_a_member_too_many_or_of_another_value_is_refused(change: dict[str, object]) -> None:
    assert _refusal({**_JWK, **change}) == "not exactly kty EC, crv P-256, x and y"


@pytest.mark.parametrize("name", ["kty", "crv", "x", "y"])
def test_a_member_too_few_is_refused(name: str) -> None:
    assert _refusal({key: value for key, value in _JWK.items() if key != name}).startswith("not exactly")


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("value", [1, None, [], "", _JWK["x"][:-2], _JWK["x"] + "=", base64url.encode(bytes(33))])
def test_a_coordinate_of_another_size_or_type_is_refused(name: str, value: object) -> None:
    assert _refusal({**_JWK, name: value}) == "a coordinate that is not 32 octets in base64url"


def test_coordinates_that_are_a_point_only_when_joined_are_refused() -> None:
    # x one octet short and y one octet long: joined they would be the point again
    octets = base64url.decode(_JWK["x"]) + base64url.decode(_JWK["y"])
    split = {"x": base64url.encode(octets[:31]), "y": base64url.encode(octets[31:])}
    assert _refusal({**_JWK, **split}) == "a coordinate that is not 32 octets in base64url"


@pytest.mark.parametrize(
    "change",
    [
        {"y": _JWK["x"]},
        {"x": _coordinate(0), "y": _coordinate(0)},
        {"x": _coordinate(_P), "y": _coordinate(0)},
    ],
)
def test_a_point_off_the_curve_is_refused(change: dict[str, object]) -> None:
    assert _refusal({**_JWK, **change}) == "not a point on P-256"


def test_a_coordinate_that_is_not_reduced_is_refused() -> None:
    x = next(x for x in range(1, 100) if pow(_square(x), (_P - 1) // 2, _P) == 1)
    y = pow(_square(x), (_P + 1) // 4, _P)
    good = {**_JWK, "x": _coordinate(x), "y": _coordinate(y)}
    assert jwk.from_public(jwk.parse_public(good)) == good
    assert _refusal({**good, "x": _coordinate(x + _P)}) == "not a point on P-256"


def _square(x: int) -> int:
    return (x**3 - 3 * x + _B) % _P


@pytest.mark.parametrize("name", ["kty", "crv", "x", "y", "kid"])
def test_a_thumbprint_is_taken_of_exactly_the_four_members(name: str) -> None:
    changed = {**_JWK, "kid": "a"} if name == "kid" else {key: value for key, value in _JWK.items() if key != name}
    with pytest.raises(MalformedEvidence) as refusal:
        jwk.thumbprint(changed)
    assert refusal.value.reason is reasons.JWK_MALFORMED


def test_the_thumbprint_of_rfc_9449_is_the_one_it_prints(shared: Path) -> None:
    token = json.loads((shared / "vectors/dpop/rfc9449_examples.json").read_text())["tokens"][0]["jwt"]
    key = json.loads(base64url.decode(token.split(".")[0]))["jwk"]
    assert jwk.thumbprint(key) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_the_examples_of_rfc_7638_are_keys_of_other_kinds_and_refused(shared: Path) -> None:
    for example in json.loads((shared / "vectors/dpop/jwk_thumbprint_vectors.json").read_text()):
        with pytest.raises(MalformedEvidence):
            jwk.thumbprint(json.loads(example["jwk"]))


@settings(parent=settings.get_profile("quick"))
@given(st.integers(min_value=1, max_value=2**255))
def test_two_other_libraries_read_our_jwk_and_agree_on_its_thumbprint(scalar: int) -> None:
    public = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
    ours = jwk.from_public(public)
    theirs = ECKey.import_key(dict(ours))
    assert theirs.thumbprint() == jwk.thumbprint(ours)
    assert theirs.as_dict(private=False).items() >= ours.items()
    assert jwt.PyJWK(ours, algorithm="ES256").key == public


def test_the_wycheproof_ec_keys_are_taken_where_they_are_p_256_points(shared: Path) -> None:
    """Only the four members are given: `alg`, `use` and `kid` of a JWK are refused whatever they say."""
    groups = json.loads((shared / "vectors/wycheproof/json_web_key.json").read_text())["testGroups"]
    verdicts: dict[str, list[str]] = {}
    for group in groups:
        for key in group.get("public", {}).get("keys", []):
            if "x" in key:
                verdicts.setdefault(group["comment"], []).append(_verdict(key))
    assert verdicts == {
        # a member of the key (`alg`, `use`) says it is for something else: refused as it stands
        "wrong_algorithm": ["taken without alg, kid and use"],
        "invalid_algorithm": ["taken without alg, kid and use"],
        "invalid_use": ["taken without alg, kid and use"],
        "invalid_point": ["refused"],
        "wrong_curve": ["refused"],
        "wrong_kty": ["refused"],
    }


def _verdict(key: dict[str, str]) -> str:
    with pytest.raises(MalformedEvidence):
        jwk.parse_public(key)
    try:
        jwk.parse_public({name: key[name] for name in ("kty", "crv", "x", "y")})
    except MalformedEvidence:
        return "refused"
    return "taken without alg, kid and use"


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.fixed_dictionaries(dict.fromkeys(("kty", "crv", "x", "y"), _MEMBER_VALUES), optional={"kid": _MEMBER_VALUES})
    | st.binary(min_size=64, max_size=64).map(
        lambda point: {**_JWK, "x": base64url.encode(point[:32]), "y": base64url.encode(point[32:])}
    )
)
def test_any_members_are_a_key_with_one_spelling_or_refused(document: dict[str, object]) -> None:
    try:
        key = jwk.parse_public(document)
    except MalformedEvidence as refusal:
        if refusal.reason is not reasons.JWK_MALFORMED:
            raise
    else:
        assert jwk.from_public(key) == document
