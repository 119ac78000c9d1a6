"""Pins that no app would take are not issued; those that are open in rising versions."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from bonafide.documents import PinsDocument, issue_pins, open_pins
from bonafide.errors import BonafideError, Misuse
from bonafide.reasons import document as reasons
from tests.documents.world import NOON, PINNED, SERVICE

_FIRST, _SECOND = (base64.b64encode(sha256(name).digest()).decode() for name in (b"1", b"2"))
_HOSTS = {"api.example.com": (_FIRST, _SECOND)}
_DOCUMENT = PinsDocument(version=5, expires_at=NOON + timedelta(days=90), pins=_HOSTS)


def _open(token: str, **changes: Any) -> PinsDocument:
    given: dict[str, Any] = {"pinned": PINNED, "app": "shop", "seen": 0, "now": NOON}
    return open_pins(token, **{**given, **changes})


def test_pins_open() -> None:
    token = issue_pins(_DOCUMENT, app="shop", service_key=SERVICE)
    assert _open(token) == _open(token, seen=5) == _DOCUMENT
    for change, reason in (
        ({"seen": 6}, reasons.VERSION_LOWER),
        ({"app": "other"}, reasons.APP_MISMATCH),
        ({"now": _DOCUMENT.expires_at}, reasons.EXPIRED),
    ):
        with pytest.raises(BonafideError) as refusal:
            _open(token, **change)
        assert refusal.value.reason is reason


def test_52_hosts_of_16_pins_fit() -> None:
    many = tuple(base64.b64encode(sha256(bytes([index])).digest()).decode() for index in range(16))
    document = replace(_DOCUMENT, pins={f"h{index}.example.com": many for index in range(52)})
    assert _open(issue_pins(document, app="shop", service_key=SERVICE)) == document


@pytest.mark.parametrize(
    "change",
    [
        {"version": -1},
        {"version": 2**53},
        {"pins": {"api.example.com": (_FIRST,)}},
        {"pins": {"api.example.com": (_FIRST, _FIRST)}},
        {"pins": {"api.example.com": (_FIRST, "x")}},
        {"pins": {"API.example.com": (_FIRST, _SECOND)}},
        {"pins": {f"h{index}.example": (_FIRST, _SECOND) for index in range(65)}},
    ],
)
def test_pins_that_no_app_would_take_are_not_issued(change: dict[str, Any]) -> None:
    with pytest.raises(Misuse) as refusal:
        issue_pins(replace(_DOCUMENT, **change), app="shop", service_key=SERVICE)
    assert refusal.value.reason is reasons.UNISSUABLE
