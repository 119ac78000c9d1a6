"""What the middleware admits, what it refuses, and what a refused client is told."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.http import HttpResponse

from bonafide.admission import PendingAdmission, admit
from bonafide.django import runtime
from bonafide.django.middleware import BonafideMiddleware
from bonafide.errors import ConfigurationError
from bonafide.http import HttpRequest, Origin
from bonafide.ports import FirstUse, Scope
from bonafide.reasons import store as store_reasons
from bonafide.terms import ProofKind
from tests.django.api_urls import RUNS
from tests.django.locked_api import (
    configure,
    content,
    reason,
    refusal,
    rule,
    send_to_event_loop,
    signed,
    unsigned,
    would_have_refused,
)
from tests.django.locked_api import send as send_wsgi

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient

    Send = Callable[[httpx.Request], httpx.Response]

pytestmark = pytest.mark.usefixtures("locked")

DEADLINE_S = 10.0


def having(request: httpx.Request, **headers: str | None) -> httpx.Request:
    """Return the request with headers replaced (`_` stands for `-`), or taken away by None."""
    changed = httpx.Headers(request.headers)
    for name, value in headers.items():
        changed.pop(name.replace("_", "-"), None)
        if value is not None:
            changed[name.replace("_", "-")] = value
    return httpx.Request(request.method, request.url, headers=changed, content=request.content)


@pytest.mark.parametrize("proof", [ProofKind.HARDWARE, ProofKind.SESSION])
@pytest.mark.parametrize("path", ["/api/echo", "/api/echo/b%C3%A9b%C3%A9?q=1&q=%20", "/api/async"])
def test_signed_request_is_admitted(bonafide_client: AppClient, send: Send, proof: ProofKind, path: str) -> None:
    said = content(send(signed(bonafide_client, path=path, proof=proof)))
    enrolled = bonafide_client.device.keychain.enrolled
    assert enrolled is not None
    assert (said["verdict"], said["instance"], said["proof"]) == ("Admitted", enrolled.instance, proof)


def test_proof_admits_once(bonafide_client: AppClient, send: Send) -> None:
    request = signed(bonafide_client)
    content(send(request))
    answer = send(request)
    assert reason(answer) == "proof.replayed"
    assert len(RUNS) == 1
    assert refusal(answer).instance == content(send(signed(bonafide_client)))["instance"]


REFUSED: list[tuple[str, dict[str, str | None], int, str]] = [
    ("client_attestation.missing", {"oauth_client_attestation": None}, 401, "renew"),
    ("client_attestation.malformed", {"oauth_client_attestation": "x"}, 401, "renew"),
    ("proof.missing", {"signature": None}, 401, "sign_again"),
    ("proof.missing", {"signature_input": None}, 401, "sign_again"),
    ("proof.digest_malformed", {"content_digest": "sha-256=:x:"}, 401, "give_up"),
    ("proof.input_malformed", {"signature_input": "x"}, 401, "give_up"),
    ("proof.components_mismatch", {"authorization": "Bearer stolen"}, 401, "give_up"),
    ("request.host_unknown", {"host": "evil.example"}, 400, "give_up"),
    ("request.upgrade", {"upgrade": "websocket"}, 400, "give_up"),
    ("request.content_coding", {"content_encoding": "gzip"}, 400, "give_up"),
    ("request.method_override", {"x_http_method_override": "DELETE"}, 400, "give_up"),
]


@pytest.mark.parametrize(("code", "headers", "status", "action"), REFUSED)
def test_refusal_is_a_problem_document_and_the_view_does_not_run(
    bonafide_client: AppClient, send: Send, code: str, headers: dict[str, str | None], status: int, action: str
) -> None:
    answer = send(having(signed(bonafide_client), **headers))
    record = refusal(answer)
    assert (record.reason, record.enforced, record.route) == (code, True, "/api/**")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["bonafide-action"] == action
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "action", "record"}
    assert (problem["status"], problem["action"], problem["record"]) == (status, action, record.pk)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert code.encode() not in answer.content
    assert RUNS == []


def test_url_without_a_rule_is_refused(bonafide_client: AppClient, send: Send) -> None:
    answer = send(signed(bonafide_client, path="/nowhere"))
    assert (answer.status_code, reason(answer)) == (403, "route.not_listed")


@pytest.mark.parametrize(
    ("keys", "code", "status", "action"),
    [
        ({"proof": "hardware"}, "route.proof_kind_too_weak", 401, "sign_again"),
        ({"min_version": "2.0"}, "route.app_version_too_old", 403, "update_app"),
        ({"min_os": "99"}, "route.os_version_too_old", 403, "give_up"),
        ({"platforms": ["android"]}, "route.platform_refused", 403, "give_up"),
    ],
)
def test_rule_demands_more(
    settings: Any, bonafide_client: AppClient, send: Send, keys: dict[str, Any], code: str, status: int, action: str
) -> None:
    request = signed(bonafide_client)
    rule(settings, **keys)
    answer = send(request)
    assert (reason(answer), answer.status_code, answer.headers["bonafide-action"]) == (code, status, action)


def test_observing_route_lets_through_and_shows_the_view_no_verdict(
    settings: Any, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, mode="observe")
    assert content(send(unsigned()))["verdict"] == "NoneType"
    (record,) = would_have_refused()
    assert (record.reason, record.enforced, record.instance) == ("client_attestation.missing", False, None)


def test_refusal_before_the_proof_held_names_no_instance(bonafide_client: AppClient, send: Send) -> None:
    stolen = having(signed(bonafide_client), signature="bonafide=:AAAA:")
    assert refusal(send(stolen)).instance is None


@pytest.mark.django_db
@pytest.mark.parametrize("share", ["30%", "70%"])
def test_share_of_clients_is_enforced_and_each_sees_one_behaviour(settings: Any, send: Send, share: str) -> None:
    rule(settings, mode=share)
    assert len({send(httpx.Request("GET", "https://api.example.com/api/echo")).status_code for _ in range(8)}) == 1


def test_exempt_routes_ask_for_nothing(bonafide_client: AppClient, send: Send) -> None:
    assert content(send(unsigned(path="/open/health")))["verdict"] == "Exempt"
    by_address = httpx.Request("GET", "https://10.0.0.7/open/health")
    assert content(send(by_address))["verdict"] == "Exempt"
    assert send(unsigned(path="/console/")).status_code == 302


def test_client_cannot_speak_for_a_gate(bonafide_client: AppClient, send: Send) -> None:
    said = {"bonafide-instance": "x", "Bonafide-Tier": "affirming"}
    for request in (signed(bonafide_client, headers=said), unsigned(path="/open/health", headers=said)):
        assert content(send(request))["bonafide_headers"] == []


class _Store:
    """A replay store that says one thing."""

    def __init__(self, says: FirstUse, scope: Scope = Scope.HOST) -> None:
        self.scope = scope
        self.on_a_loop: bool | None = None
        self._says = says

    def require_ready(self, *, now: float) -> None:
        pass

    def remember(self, *_: object, **__: object) -> FirstUse:
        self.on_a_loop = asyncio._get_running_loop() is not None
        return self._says


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (FirstUse.UNAVAILABLE, "store.unavailable"),
        (FirstUse.CLOCK_APART, "store.clock_apart"),
    ],
)
def test_store_that_cannot_tell_refuses(
    bonafide_client: AppClient, send: Send, monkeypatch: pytest.MonkeyPatch, says: FirstUse, code: str
) -> None:
    request = signed(bonafide_client)
    monkeypatch.setattr(runtime.current(), "replay", _Store(says))
    answer = send(request)
    assert (reason(answer), answer.status_code, answer.headers["bonafide-action"]) == (code, 503, "back_off")
    assert 2 <= int(answer.headers["retry-after"]) < 10
    assert RUNS == []


@pytest.mark.parametrize(("scope", "on_the_loop"), [(Scope.HOST, True), (Scope.CLUSTER, False)])
def test_store_across_a_network_holds_up_no_other_request_of_an_event_loop(
    bonafide_client: AppClient, monkeypatch: pytest.MonkeyPatch, scope: Scope, on_the_loop: bool
) -> None:
    """One that answers within microseconds is asked where the request is: a thread would cost more than it."""
    store = _Store(FirstUse.FIRST, scope)
    request = signed(bonafide_client)
    monkeypatch.setattr(runtime.current(), "replay", store)
    assert send_to_event_loop(request).status_code == 200
    assert store.on_a_loop is on_the_loop


def test_store_that_may_forget_does_not_start(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(FirstUse.FIRST)

    def refuse(*, now: float) -> None:
        raise ConfigurationError(store_reasons.EVICTS)

    monkeypatch.setattr(store, "require_ready", refuse)
    monkeypatch.setattr(runtime.current(), "replay", store)
    with pytest.raises(ConfigurationError) as caught:
        BonafideMiddleware(HttpResponse)
    assert caught.value.reason is store_reasons.EVICTS


def test_service_endpoints_need_no_proof_and_their_paths_alone_exempt_nothing(
    settings: Any, bonafide_client: AppClient, send: Send
) -> None:
    assert send(unsigned(path="/bonafide/v1/jwks.json")).status_code == 200
    assert reason(send(unsigned(path="/api/echo/challenge"))) == "client_attestation.missing"
    assert reason(send(unsigned(path="/elsewhere/challenge"))) == "route.not_listed"


class Detour:
    """A middleware behind ours that leads a request of the service to the project's views."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.path_info = "/api/echo"
        response: HttpResponse = self._get_response(request)
        return response


def test_request_left_to_the_service_reaches_no_other_view(settings: Any, bonafide_client: AppClient) -> None:
    detour = f"{Detour.__module__}.{Detour.__qualname__}"
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], detour]
    answer = send_wsgi(unsigned(path="/bonafide/v1/jwks.json"))
    assert reason(answer) == "route.not_listed"
    assert RUNS == []


def test_settings_changed_under_way_hold_for_the_next_request(
    settings: Any, bonafide_client: AppClient, send: Send
) -> None:
    request = signed(bonafide_client)
    configure(settings, ORIGINS=["https://other.example"])
    assert reason(send(request)) == "request.host_unknown"


def test_enforcing_table_that_leaves_a_url_out_does_not_start(settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"ROUTES": [{"match": "/api/**"}]}
    with pytest.raises(ConfigurationError, match=r"configuration\.route_uncovered"):
        BonafideMiddleware(lambda _: HttpResponse())


def test_many_threads_admit_one_proof_once(bonafide_client: AppClient) -> None:
    request = signed(bonafide_client)
    sent = HttpRequest(
        method=request.method,
        target=request.url.raw_path.decode(),
        origin=Origin(scheme="https", authority="testserver"),
        headers=dict(request.headers.items()),
    )
    serving = runtime.current()
    gate, answers, barrier = serving.gate(), list[FirstUse](), threading.Barrier(8)

    def judge() -> None:
        barrier.wait(DEADLINE_S)
        now = datetime.now(UTC)
        decision = admit(sent, gate=gate, now=now)
        assert isinstance(decision, PendingAdmission)
        answers.append(serving.replay.remember(decision.replay_key, created=decision.created, now=now.timestamp()))

    threads = [threading.Thread(target=judge) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(DEADLINE_S)
    assert sorted(answers) == sorted([FirstUse.FIRST, *[FirstUse.REPLAYED] * 7])
