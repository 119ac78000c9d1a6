"""The app takes what a pinned key signed for its own question, in rising versions, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from django.utils import timezone

from bonafide.codec import base64url
from bonafide.django.models import ValueKind
from bonafide.reasons import document as reasons
from bonafide.testing.hints import AnswerRefused
from tests.django import locked_api
from tests.django.conftest import locked
from tests.django.given_world import CONFIGURATION, PATHS, PINS, SECRETS, asked, client, give, mallory, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.testing.client import AppClient

__all__ = ["client", "locked", "mallory"]

pytestmark = pytest.mark.usefixtures("locked")


# Replayed and forged answers ---------------------------------------------------------------------


@contextmanager
def answering(client: AppClient, answer: httpx.Response) -> Iterator[None]:
    """Put an answer in place of the service's, as a proxy would whose CA the phone trusts."""
    transport = client._transport
    client._transport = httpx.MockTransport(
        lambda _: httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
    )
    try:
        yield
    finally:
        client._transport = transport


def test_an_answer_to_an_earlier_question_is_not_taken(client: AppClient) -> None:
    for path, ask in ((SECRETS, client.secrets), (CONFIGURATION, client.configuration)):
        recorded = locked_api.send(asked(client, path))
        with answering(client, recorded), pytest.raises(AnswerRefused, match=reasons.QUESTION_MISMATCH.code):
            ask()


def test_an_answer_to_another_instance_is_not_taken(client: AppClient, mallory: AppClient) -> None:
    theirs = locked_api.send(asked(mallory))
    with answering(client, theirs), pytest.raises(AnswerRefused, match=reasons.DECRYPTION_FAILED.code):
        client.secrets()


def test_a_lower_version_of_configuration_or_pins_is_not_taken(client: AppClient) -> None:
    old = {path: locked_api.send(asked(client, path)) for path in (CONFIGURATION, PINS)}
    give("colour", "red", ValueKind.PUBLIC)
    publish()
    client.configuration()
    client.pins()
    for path, ask in ((CONFIGURATION, client.configuration), (PINS, client.pins)):
        with answering(client, old[path]), pytest.raises(AnswerRefused, match=reasons.VERSION_LOWER.code):
            ask()


def test_an_answer_without_the_sealed_part_is_not_taken(client: AppClient) -> None:
    answer = locked_api.send(asked(client, CONFIGURATION))
    for sealed in (None, "", 1):
        stripped = httpx.Response(200, json={"public": answer.json()["public"], "sealed": sealed})
        with answering(client, stripped), pytest.raises(AnswerRefused):
            client.configuration()


def test_answers_of_another_service_are_not_taken(client: AppClient) -> None:
    client._reader._pinned = frozenset([base64url.encode(bytes(32))])
    for ask in (client.secrets, client.configuration, client.pins):
        with pytest.raises(AnswerRefused, match=reasons.SERVICE_KEY_NOT_PINNED.code):
            ask()


def test_answers_that_have_ended_are_not_taken(client: AppClient) -> None:
    requests = {path: asked(client, path) for path in PATHS}
    answers = {path: locked_api.send(request) for path, request in requests.items()}
    client.clock.now = lambda: timezone.now().timestamp() + 100 * 24 * 3600  # type: ignore[method-assign]  # a day to come
    reader = client._reader
    for path, read in ((SECRETS, reader.secrets), (CONFIGURATION, reader.configuration), (PINS, reader.pins)):
        answer = httpx.Response(200, content=answers[path].content, request=requests[path])
        with pytest.raises(AnswerRefused, match=reasons.EXPIRED.code):
            read(answer)


def test_answers_that_are_no_documents_are_not_taken(client: AppClient) -> None:
    for content in (b"", b"{}", b"[]", b'{"secrets":1,"public":1,"pins":1}', b'{"secrets":"","public":"","pins":""}'):
        for ask in (client.secrets, client.configuration, client.pins):
            with answering(client, httpx.Response(200, content=content)), pytest.raises(AnswerRefused):
                ask()
