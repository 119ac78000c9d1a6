"""Public values open for every app of the name in rising versions; sealed ones for the instance that asked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bonafide.documents import (
    ConfigurationDocument,
    issue_public_configuration,
    issue_sealed_configuration,
    open_public_configuration,
    open_sealed_configuration,
)
from bonafide.errors import BonafideError, Misuse
from bonafide.reasons import document as reasons
from tests.documents.world import ADDRESSEE, AGREE, NOON, PINNED, SERVICE, VALIDITY, random

_VALUES: dict[str, object] = {"colour": "blue", "limits": {"items": 20, "share": 0.5}, "flags": [True, None]}
_DOCUMENT = ConfigurationDocument(validity=VALIDITY, values=_VALUES)
_PUBLIC = issue_public_configuration(_DOCUMENT, app="shop", service_key=SERVICE)
_SEALED = issue_sealed_configuration(
    _DOCUMENT, addressee=ADDRESSEE, service_key=SERVICE, recipient=AGREE.public_key(), random=random
)


def _open_public(**changes: Any) -> ConfigurationDocument:
    given: dict[str, Any] = {"token": _PUBLIC, "pinned": PINNED, "app": "shop", "seen": 0, "now": NOON}
    return open_public_configuration(**{**given, **changes})


def _open_sealed(**changes: Any) -> ConfigurationDocument:
    given: dict[str, Any] = {
        "token": _SEALED,
        "agree_key": AGREE,
        "pinned": PINNED,
        "addressee": ADDRESSEE,
        "now": NOON,
    }
    return open_sealed_configuration(**{**given, **changes})


def test_both_forms_open() -> None:
    assert _open_public() == _open_sealed() == _DOCUMENT


def test_neither_form_opens_as_the_other() -> None:
    with pytest.raises(BonafideError) as refusal:
        _open_public(token=_SEALED)
    assert refusal.value.reason is reasons.MALFORMED
    with pytest.raises(BonafideError) as refusal:
        _open_sealed(token=_PUBLIC)
    assert refusal.value.reason is reasons.MALFORMED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"app": "other"}, reasons.APP_MISMATCH),
        ({"seen": 4}, reasons.VERSION_LOWER),
        ({"pinned": frozenset()}, reasons.SERVICE_KEY_NOT_PINNED),
        ({"now": NOON + timedelta(hours=1)}, reasons.EXPIRED),
    ],
)
def test_public_values_of_another_app_before_or_after_their_time_are_refused(
    change: dict[str, Any], reason: Any
) -> None:
    with pytest.raises(BonafideError) as refusal:
        _open_public(**change)
    assert refusal.value.reason is reason


def test_the_version_seen_last_is_taken_again() -> None:
    assert _open_public(seen=3) == _DOCUMENT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"addressee": replace(ADDRESSEE, question="r" * 43)}, reasons.QUESTION_MISMATCH),
        ({"addressee": replace(ADDRESSEE, instance="other")}, reasons.INSTANCE_MISMATCH),
        ({"now": NOON + timedelta(hours=1)}, reasons.EXPIRED),
    ],
)
def test_sealed_values_for_anybody_or_anything_else_are_refused(change: dict[str, Any], reason: Any) -> None:
    with pytest.raises(BonafideError) as refusal:
        _open_sealed(**change)
    assert refusal.value.reason is reason


def test_values_print_nowhere() -> None:
    assert "blue" not in repr(_DOCUMENT)


def test_40_kib_of_public_values_are_issued_and_50_are_not() -> None:
    values: dict[str, object] = {"x": "x" * (40 * 1024 - len('{"x":""}'))}
    assert len(json.dumps(values, separators=(",", ":"))) == 40 * 1024
    assert issue_public_configuration(replace(_DOCUMENT, values=values), app="a" * 255, service_key=SERVICE)
    with pytest.raises(Misuse):
        issue_public_configuration(replace(_DOCUMENT, values={"x": "x" * 50_000}), app="shop", service_key=SERVICE)
