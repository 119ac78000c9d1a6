"""A simulator is believed under its debug secret, and under nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from bonafide.errors import VerificationFailed
from bonafide.evidence.debug import DebugClaims, DebugSecret, UnsafeDebugEvidence, verify_debug_evidence
from bonafide.terms import Environment
from bonafide.testing.device import Build, PendingMessage, enrolment_message
from bonafide.testing.simulator import Simulator

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
BUILD = Build(app="shop", identity="ABCDE12345.com.example.shop")
SECRET = DebugSecret(app="shop", name="ci", secret=bytes(32))
OTHER = DebugSecret(app="shop", name="ci", secret=bytes([1]) * 32)


def verify(message: PendingMessage, secret: DebugSecret) -> DebugClaims:
    assert message.evidence is not None
    return verify_debug_evidence(
        message.evidence[0],
        client_data_hash=hashlib.sha256(message.client_data).digest(),
        app="shop",
        policy=UnsafeDebugEvidence(environment=Environment.STAGING, secrets=(secret,)),
        now=NOW,
    )


@pytest.fixture
def message() -> PendingMessage:
    device = Simulator(BUILD, SECRET, clock=NOW.timestamp)
    assert device.new_key() is None  # type: ignore[func-returns-value]  # that it returns none is the claim
    message = enrolment_message(device, "challenge", None)
    message.evidence = device.attest(message)
    return message


def test_simulator_is_vouched_for_by_its_secret(message: PendingMessage) -> None:
    assert verify(message, SECRET).name == "ci"


def test_simulator_is_not_believed_under_another_secret(message: PendingMessage) -> None:
    with pytest.raises(VerificationFailed, match=r"debug\.mac_invalid"):
        verify(message, OTHER)


def test_renewal_of_a_simulator_brings_no_evidence(message: PendingMessage) -> None:
    assert Simulator(BUILD, SECRET, clock=NOW.timestamp).make_assertion(message) == []
