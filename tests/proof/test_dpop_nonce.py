"""A nonce is recognised where it was issued, while it lives, and nowhere else."""

from __future__ import annotations

import hmac
import os
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonafide.codec import base64url
from bonafide.errors import Misuse, VerificationFailed
from bonafide.proof import dpop_nonce
from bonafide.reasons import Reason
from bonafide.reasons import dpop as reasons
from bonafide.reasons import session as session_reasons
from tests.gate_world import GATE_SECRET, NOW

KEY_ID = "20261101-a"
KEYS = {KEY_ID: GATE_SECRET, "20261102-b": bytes(range(1, 33))}


def issued(key_id: str = KEY_ID) -> str:
    return dpop_nonce.issue(KEYS[key_id], key_id=key_id, now=NOW, random=os.urandom)


def refused(nonce: str, reason: Reason, *, later: timedelta = timedelta()) -> None:
    with pytest.raises(VerificationFailed) as refusal:
        dpop_nonce.verify(nonce, find=KEYS.get, now=NOW + later)
    assert refusal.value.reason is reason


def test_nonce_holds_for_five_minutes_under_every_key_that_lives() -> None:
    for key_id in KEYS:
        nonce = issued(key_id)
        dpop_nonce.verify(nonce, find=KEYS.get, now=NOW)
        dpop_nonce.verify(nonce, find=KEYS.get, now=NOW + dpop_nonce.LIFETIME - timedelta(seconds=1))
        refused(nonce, reasons.NONCE_EXPIRED, later=dpop_nonce.LIFETIME)


def test_two_nonces_of_one_moment_differ() -> None:
    assert issued() != issued()


def test_nonce_is_made_of_what_a_header_and_a_claim_may_hold() -> None:
    assert set(issued()) <= {chr(code) for code in range(0x21, 0x7F)} - {'"', "\\"}


def test_nonce_of_a_key_that_is_gone_or_of_another_gate_is_unknown() -> None:
    foreign = dpop_nonce.issue(bytes(32), key_id="20261101-z", now=NOW, random=os.urandom)
    refused(foreign, reasons.NONCE_UNKNOWN)
    renamed = dpop_nonce.issue(bytes(32), key_id=KEY_ID, now=NOW, random=os.urandom)
    refused(renamed, reasons.NONCE_UNKNOWN)
    other_key = issued("20261102-b").partition(".")[2]
    refused(f"{KEY_ID}.{other_key}", reasons.NONCE_UNKNOWN)


@pytest.mark.parametrize("octet", range(57))
def test_nonce_with_one_bit_changed_is_unknown(octet: int) -> None:
    key_id, _, text = issued().partition(".")
    raw = bytearray(base64url.decode(text))
    raw[octet] ^= 1
    refused(f"{key_id}.{base64url.encode(bytes(raw))}", reasons.NONCE_UNKNOWN)


def test_what_a_session_derives_from_the_gate_key_makes_no_nonce() -> None:
    """The label keeps the MACs apart: the gate key itself makes none either."""
    head = bytes([1]) + bytes(16) + int((NOW + timedelta(minutes=5)).timestamp()).to_bytes(8, "big")
    forged = base64url.encode(head + hmac.digest(GATE_SECRET, head, "sha256"))
    refused(f"{KEY_ID}.{forged}", reasons.NONCE_UNKNOWN)


@given(st.text(max_size=200))
def test_any_text_is_unknown(text: str) -> None:
    refused(text, reasons.NONCE_UNKNOWN)


def test_nonce_is_not_issued_under_what_is_no_gate_key() -> None:
    for secret, key_id in ((bytes(31), KEY_ID), (bytes(32), "with space"), (bytes(32), "")):
        with pytest.raises(Misuse) as refusal:
            dpop_nonce.issue(secret, key_id=key_id, now=NOW, random=os.urandom)
        assert refusal.value.reason is session_reasons.DERIVATION_MISUSED
