"""A sealing key in a token: it stays there, its PIN is asked for once, and sessions that end are begun anew."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
from typing import TYPE_CHECKING, Any

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass

from bonafide.errors import BonafideError, ConfigurationError, VerificationFailed
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores.sealing_keys import pkcs11_login
from tests.stores.sealing_keys.soft_hsm import LABEL, PIN, TOKEN, SoftHsm, soft_hsm
from tests.stores.sealing_keys.trial import SECRET, SealingKeyTrial, unsealable

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.queues import Queue
    from pathlib import Path

    from bonafide.stores.sealing_keys.pkcs11_token import Pkcs11SealingKey

__all__ = ["soft_hsm"]


@pytest.fixture
def key(soft_hsm: SoftHsm) -> Pkcs11SealingKey:
    key = soft_hsm.key()
    assert key.make()
    return key


class TestPkcs11SealingKey(SealingKeyTrial):
    @pytest.fixture
    def stranger(self, soft_hsm: SoftHsm) -> Pkcs11SealingKey:
        key = soft_hsm.key(label="sealing-2")
        assert key.make()
        return key


def unusable(look: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        look()
    assert refusal.value.reason is reasons.SEALING_KEY_UNUSABLE
    assert PIN not in str(refusal.value)
    return refusal.value.detail


def unavailable(look: Callable[[], object]) -> str:
    with pytest.raises(VerificationFailed) as refusal:
        look()
    assert refusal.value.reason is store_reasons.SEALING_KEY_UNAVAILABLE
    return refusal.value.detail


def session(soft_hsm: SoftHsm) -> Any:
    token = pkcs11.lib(str(soft_hsm.module)).get_token(token_label=TOKEN)
    try:
        return token.open(rw=True, user_pin=PIN)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open(rw=True)


# The key ------------------------------------------------------------------------------------------


def test_the_key_never_leaves_the_token(key: Pkcs11SealingKey, soft_hsm: SoftHsm) -> None:
    del key
    opened = session(soft_hsm)
    (held,) = opened.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: LABEL})
    assert held[Attribute.SENSITIVE]
    assert not held[Attribute.EXTRACTABLE]
    assert held[Attribute.NEVER_EXTRACTABLE]
    with pytest.raises(pkcs11.AttributeSensitive):
        held[Attribute.VALUE]
    opened.close()


def test_the_key_is_made_once(key: Pkcs11SealingKey, soft_hsm: SoftHsm) -> None:
    sealed = key.seal(SECRET, context=b"here")
    assert not soft_hsm.key().make()
    assert soft_hsm.key().open(sealed, context=b"here") == SECRET
    assert key.name == "pkcs11:bonafide/sealing-1"


@pytest.mark.parametrize("template", [{Attribute.EXTRACTABLE: True}, {Attribute.SENSITIVE: False}])
def test_a_key_that_the_token_would_hand_out_is_refused(soft_hsm: SoftHsm, template: dict[Any, Any]) -> None:
    opened = session(soft_hsm)
    opened.generate_key(KeyType.AES, 256, label=LABEL, store=True, template=template)
    opened.close()
    assert "hand the key out" in unusable(lambda: soft_hsm.key().seal(SECRET, context=b""))


@pytest.mark.parametrize(("kind", "bits"), [(KeyType.AES, 128), (KeyType.GENERIC_SECRET, 256)])
def test_a_key_of_another_kind_is_refused(soft_hsm: SoftHsm, kind: KeyType, bits: int) -> None:
    opened = session(soft_hsm)
    hidden = {Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True}
    opened.generate_key(kind, bits, label=LABEL, store=True, template=hidden)
    opened.close()
    assert "not an AES key of 256 bits" in unusable(lambda: soft_hsm.key().seal(SECRET, context=b""))


def test_no_key_and_two_keys_of_a_label_are_refused(soft_hsm: SoftHsm) -> None:
    assert "0 keys of that label" in unusable(lambda: soft_hsm.key().seal(SECRET, context=b""))
    opened = session(soft_hsm)
    for _ in range(2):
        opened.generate_key(KeyType.AES, 256, label=LABEL, store=True)
    opened.close()
    assert "2 keys of that label" in unusable(lambda: soft_hsm.key().seal(SECRET, context=b""))


def test_a_key_that_is_made_later_is_found_without_a_restart(soft_hsm: SoftHsm) -> None:
    early = soft_hsm.key()
    unusable(lambda: early.seal(SECRET, context=b""))
    assert soft_hsm.key().make()
    early.seal(SECRET, context=b"")


# The PIN ------------------------------------------------------------------------------------------


def test_a_pin_that_was_refused_is_not_tried_again(
    key: Pkcs11SealingKey, soft_hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that counts locks after a few: the service must not lock its own."""
    del key
    pin_file = tmp_path / "pin"
    pin_file.write_text("0000")
    pin_file.chmod(0o600)
    pkcs11_login.end_life(str(soft_hsm.module))  # nobody is logged in
    wrong = soft_hsm.key(pin_file=pin_file)
    assert "refused the PIN: PinIncorrect" in unusable(lambda: wrong.seal(SECRET, context=b""))
    for _ in range(3):
        assert "not tried again" in unusable(lambda: wrong.seal(SECRET, context=b""))
    pin_file.write_text(PIN)
    assert wrong.open(wrong.seal(SECRET, context=b""), context=b"") == SECRET


def test_a_pin_file_that_is_missing_empty_or_no_text_is_refused(soft_hsm: SoftHsm, tmp_path: Path) -> None:
    pin_file = tmp_path / "pin"
    assert "no PIN" in unusable(lambda: soft_hsm.key(pin_file=pin_file).make())
    for octets in (b"", b"\n", b"\xff\xfe"):
        pin_file.write_bytes(octets)
        pin_file.chmod(0o600)
        unusable(lambda: soft_hsm.key(pin_file=pin_file).make())
    pin_file.unlink()
    pin_file.symlink_to(soft_hsm.pin_file)
    unusable(lambda: soft_hsm.key(pin_file=pin_file).make())


def test_a_pin_file_that_others_may_read_is_refused(soft_hsm: SoftHsm) -> None:
    soft_hsm.pin_file.chmod(0o644)
    with pytest.raises(ConfigurationError) as refusal:
        soft_hsm.key().make()
    assert refusal.value.reason is reasons.KEYS_UNSAFE


# The token ----------------------------------------------------------------------------------------


def test_a_token_that_is_not_there_is_silent_and_serves_again_when_it_is(
    key: Pkcs11SealingKey, soft_hsm: SoftHsm, tmp_path: Path
) -> None:
    sealed = key.seal(SECRET, context=b"here")
    soft_hsm.tokens.rename(tmp_path / "unplugged")
    soft_hsm.tokens.mkdir()
    pkcs11.lib(str(soft_hsm.module)).reinitialize()
    assert "NoSuchToken" in unavailable(lambda: key.open(sealed, context=b"here"))
    assert "NoSuchToken" in unavailable(lambda: key.seal(SECRET, context=b"here"))
    assert "NoSuchToken" in unavailable(soft_hsm.key(label="other").make)
    shutil.rmtree(soft_hsm.tokens)
    (tmp_path / "unplugged").rename(soft_hsm.tokens)
    assert key.open(sealed, context=b"here") == SECRET


def test_a_session_that_ended_is_begun_anew(key: Pkcs11SealingKey, soft_hsm: SoftHsm) -> None:
    sealed = key.seal(SECRET, context=b"here")
    for _ in range(3):
        pkcs11.lib(str(soft_hsm.module)).reinitialize()  # ends every session of the process
        assert key.open(sealed, context=b"here") == SECRET
        key._session.close()  # logs the process out
        assert key.open(key.seal(SECRET, context=b""), context=b"") == SECRET


def test_a_tampered_secret_is_told_from_a_token_in_trouble(
    key: Pkcs11SealingKey, soft_hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = key.seal(SECRET, context=b"here")
    unsealable(lambda: key.open(sealed, context=b"there"))
    assert key.open(sealed, context=b"here") == SECRET

    def fail(_: object) -> Any:
        raise pkcs11.DeviceError

    monkeypatch.setattr(type(key), "_found", fail)
    assert "DeviceError" in unavailable(lambda: key.open(sealed, context=b"there"))


def test_two_keys_of_one_token_share_the_login_of_the_process(key: Pkcs11SealingKey, soft_hsm: SoftHsm) -> None:
    second = soft_hsm.key(label="sealing-2")
    assert second.make()
    for _ in range(2):
        assert key.open(key.seal(SECRET, context=b""), context=b"") == SECRET
        assert second.open(second.seal(SECRET, context=b""), context=b"") == SECRET


def test_a_library_that_is_no_module_is_refused(soft_hsm: SoftHsm, tmp_path: Path) -> None:
    nothing = SoftHsm(tmp_path / "absent.so", soft_hsm.conf, soft_hsm.pin_file)
    assert "not a PKCS#11 module" in unusable(lambda: nothing.key().seal(SECRET, context=b""))


# Processes and threads ----------------------------------------------------------------------------


def test_a_forked_child_begins_anew_and_leaves_its_parents_session_alone(
    key: Pkcs11SealingKey, soft_hsm: SoftHsm
) -> None:
    sealed = key.seal(SECRET, context=b"here")
    fork = multiprocessing.get_context("fork")
    answers: Queue[str] = fork.Queue()
    children = [fork.Process(target=_child, args=(key, sealed, answers)) for _ in range(3)]
    for child in children:
        child.start()
    told = sorted(answers.get(timeout=60) for _ in children)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert told == ["opened anew"] * 3
    assert key.open(sealed, context=b"here") == SECRET


def _child(key: Pkcs11SealingKey, sealed: bytes, answers: Queue[str]) -> None:
    before = key._session
    opened = key.open(sealed, context=b"here")
    again = "anew" if key._session is not before else "as before"
    answers.put(f"{'opened' if opened == SECRET else 'not opened'} {again}")


def test_threads_take_turns(key: Pkcs11SealingKey) -> None:
    wrong: list[object] = []

    def work() -> None:
        for number in range(20):
            secret = os.urandom(64)
            try:
                if key.open(key.seal(secret, context=b"%d" % number), context=b"%d" % number) != secret:
                    wrong.append(number)
            except BonafideError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_the_pin_is_written_nowhere(key: Pkcs11SealingKey, soft_hsm: SoftHsm, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        key.seal(SECRET, context=b"")
        unusable(lambda: soft_hsm.key(label="absent").seal(SECRET, context=b""))
    assert PIN not in caplog.text
    assert PIN not in repr(key)
