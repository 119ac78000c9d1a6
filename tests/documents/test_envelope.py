"""What an opener would refuse is not issued, and a question is the digest of what was signed.

Each refusal of an opener is a vector: `tests/vectors/test_verdicts.py`.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from bonafide.documents import envelope, question_of
from bonafide.documents.envelope import MAX_BYTES
from bonafide.errors import Misuse
from bonafide.reasons import document as reasons
from tests.documents.world import ADDRESSEE, AGREE, NOON, SERVICE, VALIDITY, random


def _unissuable(act: Any) -> None:
    with pytest.raises(Misuse) as refusal:
        act()
    assert refusal.value.reason is reasons.UNISSUABLE


def test_a_question_is_the_digest_of_the_signature_base() -> None:
    base = b'"@method": GET\n"@signature-params": ()'
    assert question_of(base) == base64.urlsafe_b64encode(sha256(base).digest()).decode().rstrip("=")
    assert question_of(base) != question_of(base + b" ")


@pytest.mark.parametrize(
    "change",
    [
        {"version": -1},
        {"version": 2**53},
        {"expires_at": NOON},
        {"expires_at": NOON - timedelta(seconds=1)},
        {"expires_at": NOON + timedelta(milliseconds=999)},
        {"issued_at": NOON - timedelta(days=365 * 60)},
    ],
)
def test_times_and_versions_that_no_app_takes_are_not_issued(change: dict[str, Any]) -> None:
    _unissuable(lambda: envelope.dated(replace(VALIDITY, **change)))


@pytest.mark.parametrize(
    "change", [{"version": 0}, {"version": 2**53 - 1}, {"expires_at": NOON + timedelta(seconds=1)}]
)
def test_those_at_the_edge_are(change: dict[str, Any]) -> None:
    assert envelope.dated(replace(VALIDITY, **change))


def test_a_token_of_64_kib_is_issued_and_a_longer_one_is_not() -> None:
    assert MAX_BYTES == 65536

    def signed(size: int) -> str:
        return envelope.issue_signed({"a": "x" * size}, typ="t", service_key=SERVICE)

    def sealed(size: int) -> str:
        return envelope.issue_sealed(
            {"a": "x" * size}, typ="t", service_key=SERVICE, recipient=AGREE.public_key(), random=random
        )

    for issue in (signed, sealed):
        low, high = 1, MAX_BYTES
        while high - low > 1:
            middle = (low + high) // 2
            try:
                low = middle if issue(middle) else low
            except Misuse:
                high = middle
        assert len(issue(low)) <= MAX_BYTES < len(issue(low - 1)) + 6
        _unissuable(lambda issue=issue, high=high: issue(high))


def test_the_claims_that_bind_are_those_of_the_wire() -> None:
    assert envelope.addressed(ADDRESSEE) == {"inst": "instance-1", "jkt": "a" * 43, "question": "q" * 43}
