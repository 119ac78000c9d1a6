"""The service's own endpoints admit as an app's routes do: no table opens them, no stolen part is enough."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.utils import timezone

from bonafide import admission, attestation_memory
from bonafide.django import bans, runtime
from bonafide.django.bans import Act
from bonafide.django.models import App, Identity, Instance
from bonafide.django.own_gate import _ROUTES, OwnGates
from bonafide.errors import ConfigurationError
from bonafide.ports import FirstUse
from bonafide.reasons import appraisal as appraisal_reasons
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import enrolment as enrolment_reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores.admission_keys import create_admission_key
from bonafide.terms import ProofKind, Tier
from tests.django import locked_api
from tests.django.given_world import OTHER_IDENTITY, PATHS, asked, client, mallory, refused
from tests.django.locked_api import configure, reason, refusal, signed
from tests.django.real_server import RealServer

if TYPE_CHECKING:
    from pathlib import Path

    from bonafide.testing.client import AppClient

__all__ = ["client", "mallory"]

pytestmark = pytest.mark.usefixtures("locked")


# Attacks -----------------------------------------------------------------------------------------


def test_a_session_proof_brings_no_secrets(client: AppClient) -> None:
    answer = refused(asked(client, proof=ProofKind.SESSION), route_reasons.PROOF_KIND_TOO_WEAK)
    assert refusal(answer).route == "bonafide:app_secrets"


@pytest.mark.parametrize("path", PATHS)
def test_a_request_without_an_attestation_or_proof_is_refused(client: AppClient, path: str) -> None:
    refused(httpx.Request("GET", f"https://testserver{path}"), attestation_reasons.MISSING)
    stolen = asked(client, path)
    for name in ("signature", "signature-input"):
        del stolen.headers[name]
    refused(stolen, proof_reasons.MISSING)


@pytest.mark.parametrize("path", PATHS)
def test_a_stolen_attestation_is_worth_nothing_without_its_key(
    client: AppClient, mallory: AppClient, path: str
) -> None:
    thief = mallory
    theirs, ours = asked(client, path), asked(thief, path)
    stolen = theirs.headers["oauth-client-attestation"]
    ours.headers["oauth-client-attestation"] = stolen
    assert reason(locked_api.send(ours)) == proof_reasons.KEY_MISMATCH.code
    enrolled = thief.device.keychain.enrolled
    assert enrolled is not None
    object.__setattr__(enrolled, "client_attestation", stolen)
    assert reason(locked_api.send(asked(thief, path))) == proof_reasons.KEY_MISMATCH.code


@pytest.mark.parametrize("path", PATHS)
def test_a_request_is_answered_once(client: AppClient, path: str) -> None:
    request = asked(client, path)
    assert locked_api.send(request).status_code == 200
    refused(request, proof_reasons.REPLAYED)


@pytest.mark.parametrize("path", PATHS)
def test_a_proof_for_another_path_is_refused(client: AppClient, path: str) -> None:
    for other in (*PATHS, "/api/echo"):
        if other != path:
            request = asked(client, other)
            request.url = request.url.copy_with(path=path)
            refused(request, proof_reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize("path", PATHS)
def test_a_banned_instance_is_refused_at_once(client: AppClient, path: str) -> None:
    enrolled = client.device.keychain.enrolled
    assert enrolled is not None
    act = Act(reason="farm", by="anna", at=timezone.now())
    bans.ban_instance(enrolled.instance, act)
    refused(asked(client, path), attestation_reasons.REVOKED)


def test_a_ban_that_no_process_has_read_yet_counts(client: AppClient, settings: Any) -> None:
    configure(settings, REVOCATIONS_EVERY=60)
    assert locked_api.send(asked(client)).status_code == 200
    enrolled = client.device.keychain.enrolled
    assert enrolled is not None
    act = Act(reason="farm", by="anna", at=timezone.now())
    bans.ban_instance(enrolled.instance, act)
    refused(asked(client), enrolment_reasons.INSTANCE_BANNED)


def test_an_instance_that_was_erased_or_changed_its_key_is_refused(client: AppClient) -> None:
    Instance.objects.update(jkt="x" * 43)
    refused(asked(client), enrolment_reasons.KEY_MISMATCH)
    Instance.objects.update(app="another")
    refused(asked(client), enrolment_reasons.INSTANCE_UNKNOWN)


def test_an_identity_or_environment_that_the_policy_no_longer_admits_is_refused(client: AppClient) -> None:
    change(environments=["development"])
    refused(asked(client), appraisal_reasons.ENVIRONMENT_REFUSED)
    change(environments=["production"], name=OTHER_IDENTITY)
    refused(asked(client), enrolment_reasons.IDENTITY_UNKNOWN)


def test_a_device_without_evidence_is_refused_where_the_policy_has_come_to_want_it(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing enrols without evidence yet, so the attestation is made to say so."""
    found = OwnGates._gate
    ours = asked(client)

    def unattested(self: OwnGates, *arguments: Any) -> Any:
        gate = found(self, *arguments)
        known = admission._recognise(ours.headers["oauth-client-attestation"], gate, timezone.now(), time.time())
        known.claims = replace(known.claims, tier=Tier.NONE)
        return gate

    monkeypatch.setattr(OwnGates, "_gate", unattested)
    refused(ours, appraisal_reasons.NOT_ATTESTED)
    change(unattested=True)
    assert locked_api.send(asked(client, PATHS[1])).status_code == 200


def change(**fields: Any) -> None:
    """Change the app's identity as the console does, which tells all processes."""
    row = Identity.objects.get()
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


@pytest.mark.parametrize("path", PATHS)
def test_an_attestation_for_another_audience_is_refused(client: AppClient, path: str) -> None:
    app = App.objects.get()
    app.audience = "https://other.example.com"
    app.save()
    refused(asked(client, path), attestation_reasons.AUDIENCE_MISMATCH)
    client.renew()
    assert locked_api.send(asked(client, path)).status_code == 200


def test_an_attestation_of_an_app_that_is_gone_is_refused(client: AppClient) -> None:
    request = asked(client)
    App.objects.create(name="another", environment="test")
    for row in Identity.objects.all():
        row.app = App.objects.get(name="another")
        row.save()
    App.objects.get(name="app-under-test").delete()
    assert reason(locked_api.send(request)) in {
        attestation_reasons.KEY_UNKNOWN.code,
        attestation_reasons.APP_REFUSED.code,
    }


def test_evidence_of_an_environment_that_is_not_admitted_is_refused(client: AppClient, settings: Any) -> None:
    configure(settings, EVIDENCE_ENVIRONMENTS=["development"])
    refused(asked(client), attestation_reasons.ENVIRONMENT_REFUSED)


@pytest.mark.parametrize("path", PATHS)
def test_a_body_is_refused_whether_it_was_signed_or_not(client: AppClient, path: str) -> None:
    refused(signed(client, "GET", path, proof=ProofKind.HARDWARE, content=b"x"), request_reasons.BODY_TOO_LARGE)
    slipped = asked(client, path)
    with_body = httpx.Request("GET", slipped.url, headers=slipped.headers, content=b"x")
    refused(with_body, request_reasons.BODY_TOO_LARGE)
    without = signed(client, "GET", path, proof=ProofKind.HARDWARE, content=b"x")
    headers = httpx.Headers([pair for pair in without.headers.multi_items() if pair[0] != "content-length"])
    refused(httpx.Request("GET", without.url, headers=headers), proof_reasons.DIGEST_MISMATCH)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods_are_not_allowed(client: AppClient, path: str, method: str) -> None:
    answer = locked_api.send(signed(client, method, path, proof=ProofKind.HARDWARE))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_no_table_rehearsal_or_open_rule_of_the_project_opens_them(client: AppClient, settings: Any) -> None:
    for rule in ({"mode": "observe"}, {"client": "open", "because": "a mistake"}):
        configure(settings, ROUTES=[{"match": "/**"} | rule])
        for path in PATHS:
            refused(httpx.Request("GET", f"https://testserver{path}"), attestation_reasons.MISSING)


def test_another_origin_is_refused(client: AppClient) -> None:
    request = asked(client)
    request.headers["host"] = "elsewhere.example.com"
    refused(request, request_reasons.HOST_UNKNOWN)


def test_a_store_that_does_not_answer_refuses(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.current().replay, "remember", lambda *_, **__: FirstUse.UNAVAILABLE)
    refused(asked(client), store_reasons.UNAVAILABLE)


# The gate ----------------------------------------------------------------------------------------


def test_a_store_that_might_forget_refuses_instead_of_forgetting(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def evicts(**_: Any) -> None:
        raise ConfigurationError(store_reasons.EVICTS)

    serving = runtime.current()
    monkeypatch.setattr(type(serving), "start", lambda _: None)  # as where no middleware stands
    monkeypatch.setattr(serving, "own_gates", OwnGates())
    monkeypatch.setattr(serving.replay, "require_ready", evicts)
    refused(asked(client), store_reasons.EVICTS)


def test_what_was_verified_is_forgotten_with_the_apps_it_was_verified_for(client: AppClient) -> None:
    gates, serving, routes = OwnGates(), runtime.current(), _ROUTES[ProofKind.HARDWARE]
    app = serving.service().app("app-under-test")
    base = serving.gate()
    first = gates._gate(base, app, routes)
    assert gates._gate(base, app, _ROUTES[ProofKind.SESSION]).memory is first.memory
    assert (
        gates._gate(replace(base, memory=attestation_memory.AttestationMemory()), app, routes).memory
        is not first.memory
    )


def test_threads_that_ask_at_once_are_each_answered_once(client: AppClient) -> None:
    gates, barrier, serving = OwnGates(), threading.Barrier(4), runtime.current()
    base, app = serving.gate(), serving.service().app("app-under-test")
    found = []

    def ask() -> None:
        barrier.wait()
        found.append(gates._gate(base, app, _ROUTES[ProofKind.HARDWARE]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {gate.audience for gate in found} == {app.audience if app else ""}
    assert {gate.apps for gate in found} == {frozenset(["app-under-test"])}


def test_behind_a_gate_they_still_judge_by_themselves(client: AppClient, settings: Any, tmp_path: Path) -> None:
    """A gate leaves the service's endpoints to the service: it says nothing of them, and nothing it says opens them."""
    key_file = tmp_path / "admission.key"
    create_admission_key(key_file, random=os.urandom)
    configure(settings, BEHIND_GATE={"key_files": [str(key_file)]})
    for path in PATHS:
        assert locked_api.send(asked(client, path)).status_code == 200
        request = httpx.Request("GET", f"https://testserver{path}", headers={"Bonafide-Admission": "a.b.c"})
        refused(request, attestation_reasons.MISSING)


def test_under_another_prefix_or_view_nothing_is_left_to_them(client: AppClient) -> None:
    """What ends like one of them is judged by the route table unless the URLconf leads to the view itself."""
    answer = locked_api.send(httpx.Request("GET", "https://testserver/api/secrets"))
    assert reason(answer) == attestation_reasons.MISSING.code
    assert refusal(answer).route == "/api/**"


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_two_workers_of_a_real_server_answer_a_question_once(server: str, tmp_path: Path) -> None:
    real = RealServer(name=server, state=tmp_path)
    real.start()
    try:
        phone = real.phone()
        assert phone.secrets().secrets == {}
        request = phone.build_request("GET", PATHS[0])
        request.read()
        phone.conversation.sign(request, proof=ProofKind.HARDWARE)
        phone.close()
        answers = [httpx.get(request.url, headers=request.headers, trust_env=False) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 401, 401, 401]
    finally:
        real.stop()
