"""One login of a process: a refused PIN is tried once, sessions do not pile up, and none outlives its module's life."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pkcs11
import pytest

from bonafide.errors import ConfigurationError
from bonafide.stores.sealing_keys import pkcs11_login
from tests.stores.sealing_keys.soft_hsm import PIN, TOKEN, SoftHsm, init_token, pins_tried, soft_hsm
from tests.stores.sealing_keys.trial import SECRET

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from pathlib import Path

    from bonafide.stores.sealing_keys.pkcs11_token import Pkcs11SealingKey

__all__ = ["pins_tried", "soft_hsm"]

WRONG = "0000"
LABELS = ("sealing-1", "sealing-2")


@pytest.fixture
def wrong_pin_file(tmp_path: Path) -> Path:
    file = tmp_path / "wrong-pin"
    file.write_text(WRONG)
    file.chmod(0o600)
    return file


def refusal(key: Pkcs11SealingKey) -> str:
    with pytest.raises(ConfigurationError) as refused:
        key.seal(SECRET, context=b"")
    assert WRONG not in refused.value.detail
    return refused.value.detail


def make_keys(soft_hsm: SoftHsm) -> None:
    for label in LABELS:
        assert soft_hsm.key(label=label).make()


# The PIN ------------------------------------------------------------------------------------------


def test_a_refused_pin_is_tried_once_by_all_keys_of_a_process(
    soft_hsm: SoftHsm, wrong_pin_file: Path, pins_tried: list[str]
) -> None:
    details = [refusal(soft_hsm.key(label=label, pin_file=wrong_pin_file)) for label in LABELS * 5]
    assert pins_tried == [WRONG]
    assert "refused the PIN: PinIncorrect" in details[0]
    assert all("not tried again" in detail for detail in details[1:])


def test_a_refused_pin_is_not_tried_by_a_forked_child(
    soft_hsm: SoftHsm, wrong_pin_file: Path, pins_tried: list[str]
) -> None:
    refusal(soft_hsm.key(pin_file=wrong_pin_file))
    fork = multiprocessing.get_context("fork")
    answers: Queue[tuple[str, list[str]]] = fork.Queue()
    child = fork.Process(
        target=lambda: answers.put((refusal(soft_hsm.key(pin_file=wrong_pin_file)), pins_tried)), daemon=True
    )
    child.start()
    detail, tried = answers.get(timeout=60)
    child.join(60)
    assert "not tried again" in detail
    assert tried == [WRONG]


def test_a_refused_pin_is_refused_also_where_another_key_is_logged_in(
    soft_hsm: SoftHsm, wrong_pin_file: Path, pins_tried: list[str]
) -> None:
    refusal(soft_hsm.key(pin_file=wrong_pin_file))
    make_keys(soft_hsm)
    assert "not tried again" in refusal(soft_hsm.key(pin_file=wrong_pin_file))
    assert pins_tried == [WRONG, PIN]


def test_a_token_that_is_initialised_anew_is_asked_again(
    soft_hsm: SoftHsm, wrong_pin_file: Path, pins_tried: list[str]
) -> None:
    refusal(soft_hsm.key(pin_file=wrong_pin_file))
    for token in list(soft_hsm.tokens.iterdir()):
        token.rename(soft_hsm.tokens.with_name(token.name))
    init_token(TOKEN)
    assert "refused the PIN" in refusal(soft_hsm.key(pin_file=wrong_pin_file))
    assert pins_tried == [WRONG, WRONG]


# Sessions -----------------------------------------------------------------------------------------


def test_all_keys_of_a_token_speak_on_one_session(soft_hsm: SoftHsm, pins_tried: list[str]) -> None:
    make_keys(soft_hsm)
    for label in LABELS * 25:
        key = soft_hsm.key(label=label)
        assert key.open(key.seal(SECRET, context=b""), context=b"") == SECRET
    assert soft_hsm.sessions() == 1
    assert pins_tried == [PIN]


def test_refusals_leave_no_session_open(soft_hsm: SoftHsm, wrong_pin_file: Path, pins_tried: list[str]) -> None:
    make_keys(soft_hsm)
    for _ in range(50):
        refusal(soft_hsm.key(label="absent"))
    assert soft_hsm.sessions() == 1
    assert pins_tried == [PIN]
    pkcs11_login.end_life(str(soft_hsm.module))
    refusal(soft_hsm.key(pin_file=wrong_pin_file))
    assert soft_hsm.key().make() is False
    assert soft_hsm.sessions() == 1  # that of the refused login went with the module's life


def test_sessions_that_end_again_and_again_leave_none_behind(soft_hsm: SoftHsm) -> None:
    make_keys(soft_hsm)
    key = soft_hsm.key()
    token = pkcs11.lib(str(soft_hsm.module)).get_token(token_label=TOKEN)
    for _ in range(20):
        key.seal(SECRET, context=b"")
        with token.open(rw=True) as other:  # somebody else of this process, who logs all out
            key._session.close()
            del other
        key.seal(SECRET, context=b"")
    assert soft_hsm.sessions() == 1


def test_what_was_opened_in_another_life_of_the_module_is_never_used(soft_hsm: SoftHsm) -> None:
    """Handles count anew: that of one token's key then is that of the other's."""
    init_token("second")
    pkcs11_login.end_life(str(soft_hsm.module))
    first, second = soft_hsm.key(), soft_hsm.key(token="second")
    for key in (first, second):
        assert key.make()
        pkcs11_login.end_life(str(soft_hsm.module))
    first.seal(SECRET, context=b"")
    pkcs11_login.end_life(str(soft_hsm.module))  # as where some token is away
    second.seal(SECRET, context=b"")
    sealed = first.seal(SECRET, context=b"")
    pkcs11_login.end_life(str(soft_hsm.module))
    assert soft_hsm.key().open(sealed, context=b"") == SECRET
