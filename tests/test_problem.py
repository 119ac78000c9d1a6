"""A refusal tells its status and its action, in body and fields alike, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus

import pytest

from bonafide.problem import Problem
from bonafide.reasons import Action, Reason, by_code

RECORD = "cmVjb3JkLXJlY29yZC0xMQ"


def test_document_and_fields_say_the_same() -> None:
    problem = Problem(status=403, action=Action.UPDATE_APP, record=RECORD)
    assert json.loads(problem.document()) == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "action": "update_app",
        "record": RECORD,
    }
    assert problem.fields() == {
        "Bonafide-Action": "update_app",
        "Bonafide-Record": RECORD,
        "Cache-Control": "no-store",
    }


@pytest.mark.parametrize("reason", by_code().values(), ids=str)
def test_every_reason_can_be_told(reason: Reason) -> None:
    problem = Problem(status=reason.status, action=reason.action, record=RECORD)
    assert problem.title == HTTPStatus(reason.status).phrase
    assert all(type(value) is str for value in problem.fields().values())
    assert ("WWW-Authenticate" in problem.fields()) == (reason.status == 401)


def test_who_should_wait_is_told_how_long() -> None:
    assert Problem(status=503, action=Action.GIVE_UP, record=RECORD, jitter=5).fields()["Retry-After"] == "7"
    assert Problem(status=403, action=Action.BACK_OFF, record=RECORD).fields()["Retry-After"] == "2"
    limited = Problem(status=429, action=Action.BACK_OFF, record=RECORD, retry_after=timedelta(milliseconds=2001))
    assert limited.fields()["Retry-After"] == "3"
