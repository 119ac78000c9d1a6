"""The software devices make evidence that the verifiers take, and lose what real ones lose."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest

from bonafide.codec import base64url
from bonafide.evidence.app_attest import verify_assertion, verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.device import (
    AttestationUnavailable,
    Build,
    KeyUnusable,
    PendingMessage,
    enrolment_message,
    renewal_message,
)
from bonafide.testing.iphone import IPhone

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
IDENTITY = "ABCDE12345.com.example.shop"


def build(os_version: str = "18.5") -> Build:
    return Build(app="shop", identity=IDENTITY, os_version=os_version)


def phone(
    os_version: str = "18.5",
    *,
    ed_flag: bool = False,
    environment: EvidenceEnvironment = EvidenceEnvironment.PRODUCTION,
) -> IPhone:
    return IPhone(build(os_version), clock=NOW.timestamp, ed_flag=ed_flag, environment=environment)


def enrolment(device: IPhone) -> PendingMessage:
    message = enrolment_message(device, "challenge", device.new_key())
    message.evidence = device.attest(message)
    return message


def text(message: PendingMessage, name: str) -> str:
    assert message.evidence is not None
    return str(message.evidence[0][name])


@pytest.mark.parametrize("os_version", ["14.0", "16.4", "17.2", "18.5", "26.0", "27.0", "27.1"])
@pytest.mark.parametrize("ed_flag", [False, True])
@pytest.mark.parametrize("environment", [EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEVELOPMENT])
def test_attestation_and_assertion_of_every_ios_verify(
    os_version: str, ed_flag: bool, environment: EvidenceEnvironment
) -> None:
    device = phone(os_version, ed_flag=ed_flag, environment=environment)
    message = enrolment(device)
    claims = verify_attestation(
        base64url.decode(text(message, "attestation")),
        client_data_hash=hashlib.sha256(message.client_data).digest(),
        key_id=b64decode(text(message, "key_id")),
        app_id=IDENTITY,
        environments=frozenset([environment]),
        anchors=FakeApple().anchors,
        now=NOW,
    )
    device.keychain.attest_key = message.key
    renewal = renewal_message(device, "next", "instance")
    renewal.evidence = device.make_assertion(renewal)
    assertion = verify_assertion(
        base64url.decode(text(renewal, "assertion")),
        client_data_hash=hashlib.sha256(renewal.client_data).digest(),
        public_key=claims.public_key,
        app_id=IDENTITY,
        last_counter=0,
    )
    assert assertion.counter == 1


def test_wrong_phone_clock_does_not_spoil_apples_certificates() -> None:
    device = IPhone(build(), clock=(NOW - timedelta(days=900)).timestamp, apple_time=lambda: NOW)
    message = enrolment(device)
    verify_attestation(
        base64url.decode(text(message, "attestation")),
        client_data_hash=hashlib.sha256(message.client_data).digest(),
        key_id=b64decode(text(message, "key_id")),
        app_id=IDENTITY,
        environments=frozenset([EvidenceEnvironment.PRODUCTION]),
        anchors=FakeApple().anchors,
        now=NOW,
    )


def test_key_is_attested_once() -> None:
    device = phone()
    message = enrolment(device)
    with pytest.raises(KeyUnusable):
        device.attest(message)


def test_reinstall_keeps_the_keychain_and_loses_the_app_attest_keys() -> None:
    device = phone()
    message = enrolment(device)
    device.keychain.attest_key = message.key
    jkt = device.keychain.jkt
    device.reinstall()
    assert (device.keychain.jkt, device.keychain.attest_key) == (jkt, message.key)
    with pytest.raises(KeyUnusable):
        device.make_assertion(renewal_message(device, "next", "instance"))


def test_restore_onto_a_new_phone_loses_every_key() -> None:
    device = phone()
    jkt = device.keychain.jkt
    device.restore_onto_new_phone()
    assert device.keychain.jkt != jkt


def test_message_without_a_key_cannot_be_attested() -> None:
    device = phone()
    with pytest.raises(KeyUnusable):
        device.attest(enrolment_message(device, "challenge", None))


def test_busy_apple_counts_no_attest_call() -> None:
    device = phone()
    device.apple_is_busy = 1
    with pytest.raises(AttestationUnavailable):
        enrolment(device)
    assert device.enclave.attest_calls == 0


def test_secrets_of_a_device_are_in_no_repr() -> None:
    device = phone()
    scalar = device.keychain.sign_key.private_numbers().private_value
    assert str(scalar) not in repr(device.keychain)
    assert "private_key" not in repr(device.keychain)
