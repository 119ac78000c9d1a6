"""A member that is absent, and one of another type, are refused alike."""

from __future__ import annotations

import httpx
import pytest

from bonafide.testing.hints import AnswerRefused
from bonafide.testing.service_answers import read_object, read_seconds, read_text


def test_members_are_read_as_what_they_must_be() -> None:
    answer = read_object(httpx.Response(200, content=b'{"text":"x","seconds":0}'))
    assert (read_text(answer, "text"), read_seconds(answer, "seconds")) == ("x", 0.0)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":1}', b"\xff"])
def test_answer_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(AnswerRefused, match="json_malformed"):
        read_object(httpx.Response(200, content=body))


@pytest.mark.parametrize("value", [None, 1, True, ["x"], {}])
def test_text_of_another_type_is_refused(value: object) -> None:
    for answer in ({"text": value}, {}):
        with pytest.raises(AnswerRefused, match="text is missing"):
            read_text(answer, "text")


@pytest.mark.parametrize("value", [None, "1", True, 1.5, -1])
def test_seconds_of_another_type_are_refused(value: object) -> None:
    for answer in ({"seconds": value}, {}):
        with pytest.raises(AnswerRefused, match="seconds is missing"):
            read_seconds(answer, "seconds")
