"""A refusal tells its status and its action, in body and headers, and nothing by which two reasons differ."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bonafide.django.problems import refuse, respond
from bonafide.reasons import Action, Reason, by_code

RECORD = "cmVjb3JkLXJlY29yZC0xMQ"


def answer(reason: Reason) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers, with what is drawn by lot left out."""
    response = refuse(reason, RECORD)
    headers = {name: value for name, value in response.items() if name != "Retry-After"}
    return response.status_code, response.content, headers


def test_a_refusal_is_a_problem_document_with_the_same_in_its_headers() -> None:
    response = respond(403, Action.UPDATE_APP, RECORD)
    assert response["Content-Type"] == "application/problem+json"
    assert json.loads(response.content) == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "action": "update_app",
        "record": RECORD,
    }
    assert (response["Bonafide-Action"], response["Bonafide-Record"]) == ("update_app", RECORD)
    assert response["Cache-Control"] == "no-store"


def test_reasons_with_one_status_and_action_are_answered_alike() -> None:
    answers: dict[tuple[int, Action], tuple[int, bytes, dict[str, str]]] = {}
    for reason in by_code().values():
        assert answers.setdefault((reason.status, reason.action), answer(reason)) == answer(reason)


@pytest.mark.parametrize("reason", by_code().values(), ids=str)
def test_no_answer_names_its_reason(reason: Reason) -> None:
    _, body, headers = answer(reason)
    told = body.decode() + repr(headers)
    assert reason.code not in told
    assert reason.code.partition(".")[2] not in told.replace(reason.action, "")


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (Action.RETRY_WITH_CHALLENGE, "use_attestation_challenge"),
        (Action.RENEW, "use_fresh_attestation"),
        (Action.GIVE_UP, "invalid_client_attestation"),
        (Action.SIGN_AGAIN, "invalid_client_attestation"),
    ],
)
def test_401_says_which_scheme_it_wants(action: Action, error: str) -> None:
    assert respond(401, action, RECORD)["WWW-Authenticate"] == f'ClientAttestation error="{error}"'
    assert "WWW-Authenticate" not in respond(403, action, RECORD)


def test_who_should_come_back_is_told_when_and_not_all_at_once() -> None:
    waits = {int(respond(503, Action.BACK_OFF, RECORD)["Retry-After"]) for _ in range(200)}
    assert min(waits) >= 1
    assert len(waits) > 3
    assert "Retry-After" not in respond(401, Action.RENEW, RECORD)


def test_a_limit_says_exactly_how_long() -> None:
    response = respond(429, Action.BACK_OFF, RECORD, retry_after=timedelta(seconds=2, milliseconds=1))
    assert response["Retry-After"] == "3"
