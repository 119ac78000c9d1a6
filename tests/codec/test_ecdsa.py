"""Two encodings of one signature, each with one spelling."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.codec import ecdsa
from bonafide.errors import MalformedEvidence, Misuse
from bonafide.reasons import jose as reasons

if TYPE_CHECKING:
    from pathlib import Path

# RFC 6979 appendix A.2.5: key, and the signature of "sample" with SHA-256
_KEY = ec.derive_private_key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1())
_SIGNATURE = bytes.fromhex(
    "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
)


def _accepts(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    try:
        ecdsa.verify_raw(public, signature, message)
    except InvalidSignature:
        return False
    return True


def test_a_signature_is_deterministic_as_rfc_6979_prints_it() -> None:
    assert ecdsa.sign_raw(_KEY, b"sample") == _SIGNATURE
    assert _accepts(_KEY.public_key(), _SIGNATURE, b"sample")


def test_a_signature_of_other_data_or_by_another_key_is_refused() -> None:
    assert not _accepts(_KEY.public_key(), _SIGNATURE, b"Sample")
    assert not _accepts(ec.derive_private_key(5, ec.SECP256R1()).public_key(), _SIGNATURE, b"sample")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        _SIGNATURE[:63],
        _SIGNATURE + b"\x00",
        _SIGNATURE[:32] + b"\x00" + _SIGNATURE[32:],  # s in 33 octets, of the same value
        b"\x00" + _SIGNATURE,
        ecdsa.der_from_raw(_SIGNATURE),
    ],
)
def test_a_signature_of_another_length_is_refused_by_verifier_and_converter(signature: bytes) -> None:
    assert not _accepts(_KEY.public_key(), signature, b"sample")
    with pytest.raises(MalformedEvidence) as refusal:
        ecdsa.der_from_raw(signature)
    assert refusal.value.reason is reasons.SIGNATURE_MALFORMED


def test_a_key_of_another_curve_does_not_sign() -> None:
    with pytest.raises(Misuse) as refusal:
        ecdsa.sign_raw(ec.derive_private_key(5, ec.SECP384R1()), b"sample")
    assert refusal.value.reason is reasons.KEY_UNFIT


@pytest.mark.parametrize(
    "der",
    [
        b"",
        bytes.fromhex("30060201010201"),
        bytes.fromhex("3006020101020101") + b"\x00",
        bytes.fromhex("300702020001020101"),  # r with a zero octet too many
        bytes.fromhex("30810602010102 0101".replace(" ", "")),  # length in two octets
        bytes.fromhex("30800201010201010000"),  # indefinite length
        bytes.fromhex("3006020181020101"),  # r negative
        bytes.fromhex("3009020101020101020101"),
        bytes.fromhex("30260221" + "01" + "00" * 32 + "020101"),  # r in 33 octets
    ],
)
def test_a_der_signature_in_another_form_is_refused(der: bytes) -> None:
    with pytest.raises(MalformedEvidence) as refusal:
        ecdsa.raw_from_der(der)
    assert refusal.value.reason is reasons.SIGNATURE_MALFORMED


@settings(parent=settings.get_profile("bonafide"))
@given(st.binary(min_size=64, max_size=64))
def test_the_two_encodings_say_the_same(raw: bytes) -> None:
    assert ecdsa.raw_from_der(ecdsa.der_from_raw(raw)) == raw


@settings(parent=settings.get_profile("bonafide"))
@given(
    st.binary(max_size=12)
    | st.tuples(st.integers(0, 71), st.integers(0, 255)).map(
        lambda change: _changed(ecdsa.der_from_raw(_SIGNATURE), *change)
    )
)
def test_any_octets_are_strict_der_or_refused(der: bytes) -> None:
    try:
        raw = ecdsa.raw_from_der(der)
    except MalformedEvidence as refusal:
        if refusal.reason is not reasons.SIGNATURE_MALFORMED:
            raise
    else:
        assert ecdsa.der_from_raw(raw) == der


def _changed(octets: bytes, position: int, value: int) -> bytes:
    position %= len(octets)
    return octets[:position] + bytes([value]) + octets[position + 1 :]


@settings(parent=settings.get_profile("bonafide"))
@given(st.binary(min_size=63, max_size=65) | st.integers(0, 511).map(lambda bit: _flipped(_SIGNATURE, bit)))
def test_no_other_octets_verify_and_nothing_but_an_invalid_signature_is_raised(signature: bytes) -> None:
    assert not _accepts(_KEY.public_key(), signature, b"sample")


def _flipped(octets: bytes, bit: int) -> bytes:
    return (int.from_bytes(octets, "big") ^ (1 << bit)).to_bytes(len(octets), "big")


def _wycheproof(shared: Path, name: str) -> list[tuple[ec.EllipticCurvePublicKey, dict[str, Any]]]:
    groups = json.loads((shared / "vectors/wycheproof" / name).read_text())["testGroups"]
    cases = []
    for group in groups:
        point = bytes.fromhex(group["publicKey"]["uncompressed"])
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        cases += [(public, case) for case in group["tests"]]
    return cases


def test_every_wycheproof_signature_in_64_octets_gets_its_verdict(shared: Path) -> None:
    cases = _wycheproof(shared, "ecdsa_secp256r1_sha256_p1363.json")
    for public, case in cases:
        accepted = _accepts(public, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        assert accepted == (case["result"] == "valid"), (case["tcId"], case["comment"])
    assert len(cases) == 262


def test_every_wycheproof_signature_in_der_gets_its_verdict(shared: Path) -> None:
    cases = _wycheproof(shared, "ecdsa_secp256r1_sha256.json")
    for public, case in cases:
        try:
            raw = ecdsa.raw_from_der(bytes.fromhex(case["sig"]))
        except MalformedEvidence:
            accepted = False
        else:
            accepted = _accepts(public, raw, bytes.fromhex(case["msg"]))
        assert accepted == (case["result"] == "valid"), (case["tcId"], case["comment"])
    assert len(cases) == 484
