"""Assertions: a signature by the attested key, in the right app, with a counter that has risen."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.evidence.app_attest import parse_assertion
from bonafide.reasons import app_assertion as reasons
from bonafide.reasons import misuse
from tests.evidence.app_attest.real_evidence import RealAssertion, assertions
from tests.vectors.judges import assert_verdict, attempt, name, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.reasons import Reason
    from bonafide.testing.vectors import Vector

SEARCH = settings(parent=settings.get_profile("bonafide"))
VECTORS = vectors("app_assertion")


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_every_vector_gets_its_verdict(vector: Vector) -> None:
    assert_verdict(vector)


def test_every_real_assertion_is_proven(shared: Path) -> None:
    real = assertions(shared)
    assert len(real) == 11
    for given_ in real:
        claims = given_.verify()
        assert (claims.app_id, claims.counter) == (given_.app_id, given_.counter)
        assert claims.bundle_version is None
        assert claims.validation_category is None
        assert replace(given_, last_counter=0).verify() == claims


def test_each_input_varied_is_refused_with_its_own_reason(shared: Path) -> None:
    real = assertions(shared)
    for given_ in real:
        other = next(entry for entry in real if entry.public_key != given_.public_key)
        key = given_.public_key
        variations: list[tuple[RealAssertion, Reason]] = [
            (replace(given_, public_key=other.public_key), reasons.SIGNATURE_INVALID),
            (replace(given_, public_key=key[:-1] + bytes([key[-1] ^ 1])), reasons.PUBLIC_KEY_MALFORMED),
            (replace(given_, public_key=key[1:]), reasons.PUBLIC_KEY_MALFORMED),
            (replace(given_, public_key=bytes([2 + key[-1] % 2]) + key[1:33]), reasons.PUBLIC_KEY_MALFORMED),
            (replace(given_, client_data_hash=hashlib.sha256(b"other").digest()), reasons.SIGNATURE_INVALID),
            (replace(given_, client_data_hash=given_.client_data_hash + b"\x00"), reasons.SIGNATURE_INVALID),
            (replace(given_, app_id=given_.app_id + "x"), reasons.APP_ID_MISMATCH),
            (replace(given_, app_id=given_.app_id + "\udcff"), reasons.APP_ID_MISMATCH),
            (replace(given_, last_counter=given_.counter), reasons.COUNTER_NOT_INCREASED),
            (replace(given_, last_counter=given_.counter + 1), reasons.COUNTER_NOT_INCREASED),
        ]
        for varied, reason in variations:
            with pytest.raises(VerificationFailed) as refused:
                varied.verify()
            assert refused.value.reason is reason, given_.name


@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_a_byte_changed_anywhere_is_refused(shared: Path, bits: int) -> None:
    for given_ in assertions(shared):
        evidence = parse_assertion(given_.assertion)
        signed = len(evidence.auth_data_raw) + len(evidence.signature)
        by_signature = 0
        for at in range(len(given_.assertion)):
            octets = bytearray(given_.assertion)
            octets[at] ^= bits
            with pytest.raises((MalformedEvidence, VerificationFailed)) as refused:
                replace(given_, assertion=bytes(octets)).verify()
            code = refused.value.reason.code
            assert code.startswith(("app_assertion.", "cbor.")), at
            by_signature += code == "app_assertion.signature_invalid"
        assert by_signature >= signed - 1  # the ED flag announces a map that is not there


def test_an_empty_client_data_hash_is_misuse(shared: Path) -> None:
    with pytest.raises(Misuse) as refused:
        replace(assertions(shared)[0], client_data_hash=b"").verify()
    assert refused.value.reason is misuse.CLIENT_DATA_HASH_EMPTY


def test_the_counters_are_told_in_the_detail(shared: Path) -> None:
    given_ = assertions(shared)[0]
    with pytest.raises(VerificationFailed) as refused:
        replace(given_, last_counter=7).verify()
    assert refused.value.detail == "3 after 7"


GOOD = next(vector for vector in VECTORS if vector.name.endswith("good_ios_27_0"))
OCTETS = GOOD.octets("assertion")
FORGED = RealAssertion(
    name="forged",
    assertion=OCTETS,
    client_data_hash=GOOD.octets("client_data_hash"),
    public_key=GOOD.octets("public_key"),
    app_id=GOOD.text("app_id"),
    counter=3,
    last_counter=2,
)
CLAIMS = FORGED.verify()
SIGNATURE, AUTH_DATA = cbor2.loads(OCTETS)["signature"], cbor2.loads(OCTETS)["authenticatorData"]


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    """Draw a good object with one part cut, overwritten or lengthened somewhere."""
    part = draw(st.sampled_from([SIGNATURE, AUTH_DATA]))
    at, cut, octets = draw(st.integers(0, len(part))), draw(st.integers(0, 4)), draw(st.binary(max_size=4))
    changed = part[:at] + octets + part[at + cut :]
    members = {"signature": SIGNATURE, "authenticatorData": AUTH_DATA}
    members["signature" if part is SIGNATURE else "authenticatorData"] = changed
    return cbor2.dumps(members)


@SEARCH
@given(edited() | st.binary(max_size=120))
def test_nothing_but_a_refusal_or_the_same_claims_comes_of_any_octets(octets: bytes) -> None:
    claims, verdict = attempt(replace(FORGED, assertion=octets).verify)
    assert claims == CLAIMS or verdict.split(".")[0] in {"app_assertion", "cbor"}


@SEARCH
@given(st.binary(max_size=70) | st.binary(min_size=64, max_size=64).map(lambda tail: b"\x04" + tail))
def test_nothing_but_a_refusal_comes_of_any_public_key(public_key: bytes) -> None:
    with pytest.raises(VerificationFailed):
        replace(FORGED, public_key=public_key).verify()
