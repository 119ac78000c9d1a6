"""Hints are read strictly, and whatever is none is no hint."""

from __future__ import annotations

import httpx
import pytest

from bonafide.reasons import Action
from bonafide.testing.hints import MAX_WAIT_S, OutcomeUnknown, Refused, action_of, retry_after


def answer(**headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(401, headers=named, request=httpx.Request("POST", "https://api.example.com/api/orders"))


@pytest.mark.parametrize("action", list(Action))
def test_every_action_is_read(action: Action) -> None:
    assert action_of(answer(bonafide_action=action.value)) is action


@pytest.mark.parametrize("text", ["", "RENEW", "renew ,renew", "dance"])
def test_unknown_action_is_none(text: str) -> None:
    assert action_of(answer(bonafide_action=text)) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1", 1.0), ("7", 7.0), ("0", 1.0), ("60", 60.0), ("61", MAX_WAIT_S), ("999999", MAX_WAIT_S)],
)
def test_wait_is_what_is_asked_within_bounds(text: str, seconds: float) -> None:
    assert retry_after(answer(retry_after=text)) == seconds


@pytest.mark.parametrize("text", ["-1", "1.5", "nan", "inf", "1e3", "1234567", "soon", ""])
def test_wait_that_is_no_number_is_a_second(text: str) -> None:
    assert retry_after(answer(retry_after=text)) == 1.0


def test_answer_without_any_hint_has_none() -> None:
    assert action_of(answer()) is None
    assert retry_after(answer()) == 1.0


def test_refusal_tells_status_action_and_record() -> None:
    refused = Refused("enrolment", answer(bonafide_action="give_up", bonafide_record="abc"))
    assert (refused.status, refused.action, refused.record) == (401, Action.GIVE_UP, "abc")
    assert str(refused) == "enrolment: 401, action give_up, record abc"


def test_unknown_outcome_names_the_request() -> None:
    answered = answer(bonafide_action="sign_again")
    assert str(OutcomeUnknown(answered.request, answered)) == "POST /api/orders: 401, action sign_again"
