"""The service's endpoints as a caller meets them: what is issued, what is refused, and how politely."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.db import OperationalError, connection
from django.test import Client

from bonafide.django import runtime
from bonafide.django.models import App, Instance, Refusal
from bonafide.enrolment import MAX_BODY_BYTES
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as enrolment_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import store as store_reasons
from bonafide.testing.hints import Refused
from tests.django.locked_api import configure, reason, send, would_have_refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

pytestmark = pytest.mark.usefixtures("locked")

PREFIX = "/bonafide/v1"
CHALLENGE = f"{PREFIX}/challenge"
INSTANCES = f"{PREFIX}/instances"
RENEWALS = f"{PREFIX}/instances/none/renewals"
KEYS = f"{PREFIX}/jwks.json"


def post(path: str, body: bytes | dict[str, Any], **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return send(httpx.Request("POST", f"https://testserver{path}", content=content, headers=headers))


def ask(purpose: str = "enrol", app: str = "app-under-test") -> httpx.Response:
    return post(CHALLENGE, {"app": app, "purpose": purpose})


def test_challenge_is_issued_and_kept_by_nobody_between(bonafide_client: AppClient) -> None:
    answer = ask()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert ask().json() != answer.json()


def test_phone_enrols_and_renews(bonafide_client: AppClient) -> None:
    bonafide_client.enrol()
    enrolled = bonafide_client.device.keychain.enrolled
    assert enrolled is not None
    assert Instance.objects.get().pk == enrolled.instance
    bonafide_client.renew()
    renewed = bonafide_client.device.keychain.enrolled
    assert renewed is not None
    assert renewed.instance == enrolled.instance
    assert renewed.client_attestation != enrolled.client_attestation


def test_published_keys_are_public_and_cached(bonafide_client: AppClient) -> None:
    bonafide_client.enrol()
    answer = send(httpx.Request("GET", f"https://testserver{KEYS}"))
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    keys = answer.json()["keys"]
    assert keys
    assert all("d" not in key and key["crv"] == "P-256" for key in keys)
    head = send(httpx.Request("HEAD", f"https://testserver{KEYS}"))
    assert head.status_code == 200


@pytest.mark.parametrize("path", [CHALLENGE, INSTANCES, RENEWALS])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_not_allowed(bonafide_client: AppClient, path: str, method: str) -> None:
    answer = send(httpx.Request(method, f"https://testserver{path}"))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_keys_are_not_written_to(bonafide_client: AppClient) -> None:
    assert post(KEYS, b"").status_code == 405


@pytest.mark.parametrize("path", [CHALLENGE, INSTANCES, RENEWALS])
def test_body_above_64_kib_is_refused(bonafide_client: AppClient, path: str) -> None:
    assert MAX_BODY_BYTES == 64 * 1024
    answer = post(path, b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status_code, reason(answer)) == (413, request_reasons.BODY_TOO_LARGE.code)
    assert reason(post(path, b" " * MAX_BODY_BYTES)) != request_reasons.BODY_TOO_LARGE.code


@pytest.mark.parametrize("path", [CHALLENGE, INSTANCES, RENEWALS])
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"app":1}', b"\xff\xfe"])
def test_body_that_is_no_message_is_refused(bonafide_client: AppClient, path: str, body: bytes) -> None:
    answer = post(path, body)
    assert 400 <= answer.status_code < 500
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "action", "record"}
    assert problem["record"] == answer.headers["bonafide-record"]
    assert problem["action"] == answer.headers["bonafide-action"]


def test_app_that_nobody_configured_is_refused(bonafide_client: AppClient) -> None:
    assert reason(ask(app="another")) == enrolment_reasons.APP_UNKNOWN.code


@pytest.mark.django_db
def test_service_without_an_app_says_so(settings: Any, tmp_path: Any) -> None:
    configure(settings, KEYS_DIR=str(tmp_path / "keys"))
    assert not App.objects.exists()
    answer = send(httpx.Request("POST", "https://api.example.com" + CHALLENGE, json={"app": "x", "purpose": "enrol"}))
    assert reason(answer) == enrolment_reasons.APP_UNKNOWN.code


def test_enrolments_above_the_rate_back_off_before_the_device_spends_its_key(
    settings: Any, bonafide_client: AppClient
) -> None:
    configure(settings, ENROLMENTS_PER_SECOND=1)
    answers = [ask() for _ in range(10)]
    governed = [each for each in answers if each.status_code == 429]
    assert governed
    assert {reason(each) for each in governed} == {challenge_reasons.GOVERNED.code}
    assert all(int(each.headers["retry-after"]) >= 1 for each in governed)
    assert {each.headers["bonafide-action"] for each in governed} == {"back_off"}


def test_renewals_are_not_governed(settings: Any, bonafide_client: AppClient) -> None:
    configure(settings, ENROLMENTS_PER_SECOND=1)
    assert {ask("renew").status_code for _ in range(10)} == {200}


@pytest.mark.parametrize(
    ("limit", "path"), [("challenge", CHALLENGE), ("instances", INSTANCES), ("renewals", RENEWALS)]
)
def test_network_above_its_rate_is_told_to_wait(
    settings: Any, bonafide_client: AppClient, limit: str, path: str
) -> None:
    configure(settings, NETWORK_LIMITS={limit: 1})
    answers = [post(path, {"app": "app-under-test", "purpose": "enrol"}) for _ in range(20)]
    limited = [each for each in answers if each.status_code == 429]
    assert limited
    assert {reason(each) for each in limited} == {request_reasons.RATE_EXCEEDED.code}
    assert all(int(each.headers["retry-after"]) >= 1 for each in limited)


def test_one_network_does_not_use_up_anothers_rate(settings: Any, bonafide_client: AppClient) -> None:
    configure(settings, NETWORK_LIMITS={"challenge": 1}, TRUSTED_PROXIES=["127.0.0.0/8"])
    body = {"app": "app-under-test", "purpose": "renew"}
    first = [post(CHALLENGE, body, **{"x-forwarded-for": "192.0.2.1"}).status_code for _ in range(20)]
    assert first[-1] == 429
    assert post(CHALLENGE, body, **{"x-forwarded-for": "192.0.2.2"}).status_code == 200


def test_full_pool_is_not_a_queue(bonafide_client: AppClient, bonafide_connect: Connect) -> None:
    pauses: list[float] = []
    client = bonafide_connect(sleep=pauses.append)
    pool = runtime.current().pool
    with contextmanager(_fill)(pool), pytest.raises(Refused):
        client.enrol()
    assert pauses
    assert {each.reason for each in would_have_refused()} == {enrolment_reasons.POOL_FULL.code}
    client.enrol()


def _fill(pool: runtime.Pool) -> Iterator[None]:
    taken = 0
    while pool._places.acquire(blocking=False):
        taken += 1
    try:
        yield
    finally:
        for _ in range(taken):
            pool._places.release()


def test_pool_gives_its_place_back_and_only_its_own() -> None:
    pool = runtime.Pool(places=1)
    with pool.slot() as first:
        assert first
        with pool.slot() as second:
            assert not second
        with pool.slot() as third:
            assert not third
    with pool.slot() as free:
        assert free


@pytest.mark.django_db(transaction=True)
def test_database_that_is_down_answers_503(bonafide_client: AppClient) -> None:
    bonafide_client.enrol()

    def down(*_: Any) -> Any:
        raise OperationalError

    with connection.execute_wrapper(down):
        answer = ask()
    assert answer.status_code == 503
    assert answer.headers["bonafide-action"] == "back_off"
    assert int(answer.headers["retry-after"]) >= 1
    assert reason(answer) in {store_reasons.DATABASE_UNAVAILABLE.code, store_reasons.COPY_STALE.code}


def test_endpoints_ask_for_no_csrf_token(bonafide_client: AppClient) -> None:
    client = Client(enforce_csrf_checks=True, headers={"host": "testserver"})
    body = json.dumps({"app": "app-under-test", "purpose": "enrol"})
    assert client.post(CHALLENGE, body, content_type="application/json").status_code == 200


def test_refusals_of_the_service_are_recorded_under_their_endpoint(bonafide_client: AppClient) -> None:
    answer = post(INSTANCES, b"{}")
    reason(answer)
    row = Refusal.objects.get(pk=answer.headers["bonafide-record"])
    assert (row.route, row.method, row.enforced) == ("bonafide:instances", "POST", True)


def test_no_refusal_says_its_reason_to_the_caller(bonafide_client: AppClient) -> None:
    for answer in (post(INSTANCES, b"{}"), ask(app="another"), post(RENEWALS, b"")):
        code = reason(answer)
        assert code.encode() not in answer.content
        assert code not in "".join(answer.headers.values())
