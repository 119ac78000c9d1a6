"""The software Secure Enclave: objects like those of each iOS, counters, and keys that get lost."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import cbor2
import pytest

from bonafide.evidence.app_attest import verify_assertion, verify_attestation
from bonafide.terms import EvidenceEnvironment
from bonafide.testing.apple import FakeApple
from bonafide.testing.secure_enclave import InvalidKey, SecureEnclave

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
APPLE = FakeApple()
APP_ID = "ABCDE12345.com.example.app"
HASH = hashlib.sha256(b"client data").digest()
MAP_BYTES = 62
IOS = ("14.0.1", "16.7", "17.2.1", "18.0", "26.1", "27.0")


def enclave(ios: str = "27.0", *, ed_flag: bool = False) -> SecureEnclave:
    return SecureEnclave(APPLE, app_id=APP_ID, ios=ios, ed_flag=ed_flag)


@pytest.mark.parametrize("environment", [EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEVELOPMENT])
@pytest.mark.parametrize("ed_flag", [False, True])
@pytest.mark.parametrize("ios", IOS)
def test_what_it_attests_and_asserts_is_proven(ios: str, ed_flag: bool, environment: EvidenceEnvironment) -> None:
    phone = SecureEnclave(APPLE, app_id=APP_ID, ios=ios, ed_flag=ed_flag, environment=environment)
    key = phone.generate_key()
    claims = verify_attestation(
        phone.attest_key(key, HASH, now=NOW),
        client_data_hash=HASH,
        key_id=base64.b64decode(key),
        app_id=APP_ID,
        environments={environment},
        anchors=APPLE.anchors,
        now=NOW,
    )
    assert (claims.os_version, claims.environment) == (ios, environment)
    assert claims.public_key == phone.public_key(key)
    assert (claims.bundle_version, claims.validation_category) == (("1", 4) if ios == "27.0" else (None, None))
    for counter in (1, 2, 3):
        assertion = verify_assertion(
            phone.generate_assertion(key, HASH),
            client_data_hash=HASH,
            public_key=claims.public_key,
            app_id=APP_ID,
            last_counter=counter - 1,
        )
        assert (assertion.counter, assertion.launch) == (counter, claims.launch)


@pytest.mark.parametrize("ios", IOS)
def test_the_map_comes_with_ios_27_and_is_as_long_as_apples(ios: str) -> None:
    phone = enclave(ios)
    surplus = MAP_BYTES if ios == "27.0" else 0
    assert len(phone.attested_data(phone.generate_key())) == 164 + surplus
    assert len(phone.asserted_data(1)) == 37 + surplus


@pytest.mark.parametrize(
    ("ios", "ed_flag", "flags"), [("27.0", True, 0xC0), ("27.0", False, 0x40), ("26.1", True, 0x40)]
)
def test_only_ios_27_sets_the_ed_flag_and_only_where_it_is_told_to(ios: str, ed_flag: bool, flags: int) -> None:
    phone = enclave(ios, ed_flag=ed_flag)
    assert phone.attested_data(phone.generate_key())[32] == flags
    assert phone.asserted_data(1)[32] == flags


def test_an_attestation_is_of_the_size_and_order_of_a_real_one() -> None:
    phone = enclave()
    envelope = cbor2.loads(phone.attest_key(phone.generate_key(), HASH, now=NOW))
    assert list(envelope) == ["fmt", "attStmt", "authData"]
    assert list(envelope["attStmt"]) == ["x5c", "receipt"]
    assert 3_600 < len(envelope["attStmt"]["receipt"]) < 4_000


def test_a_key_is_attested_once() -> None:
    phone = enclave()
    key = phone.generate_key()
    phone.attest_key(key, HASH, now=NOW)
    with pytest.raises(InvalidKey):
        phone.attest_key(key, HASH, now=NOW)
    assert phone.attest_calls == 2


def test_a_key_that_was_not_attested_asserts_nothing() -> None:
    phone = enclave()
    with pytest.raises(InvalidKey):
        phone.generate_assertion(phone.generate_key(), HASH)


def test_a_reinstalled_app_has_its_key_ids_and_no_keys() -> None:
    phone = enclave()
    key = phone.generate_key()
    phone.attest_key(key, HASH, now=NOW)
    phone.forget_keys()
    with pytest.raises(InvalidKey):
        phone.generate_assertion(key, HASH)


def test_counters_are_each_keys_own() -> None:
    phone = enclave(ios="26.1")
    keys = [phone.generate_key(), phone.generate_key()]
    for key in keys:
        phone.attest_key(key, HASH, now=NOW)
    counters = [cbor2.loads(phone.generate_assertion(key, HASH))["authenticatorData"][36] for key in [*keys, keys[0]]]
    assert counters == [1, 1, 2]


def test_the_same_randomness_makes_the_same_octets() -> None:
    def attest() -> bytes:
        phone = SecureEnclave(APPLE, app_id=APP_ID, random=bytes)
        return phone.attest_key(phone.generate_key(), HASH, now=NOW)

    assert attest() == attest()
