"""Behind a gate: what it says of a request is believed, to the same verdicts as without one, and nobody else is."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from django.http import HttpResponse

from bonafide import client_attestation
from bonafide import statement as statements
from bonafide.admission import Admitted, PendingAdmission, admit
from bonafide.codec import base64url
from bonafide.codec.jwk import thumbprint
from bonafide.django import behind_gate, runtime
from bonafide.django.middleware import BonafideMiddleware
from bonafide.django.models import CredentialBinding, Instance, ObservedRoute
from bonafide.errors import ConfigurationError, Misuse
from bonafide.http import HttpRequest, Origin
from bonafide.ports import FirstUse
from bonafide.proof.http_signature import digest_of_fields
from bonafide.reasons import configuration as configuration_reasons
from bonafide.sealing import CONTENT_TYPE, AnswerKey, open_sealed
from bonafide.statement import Sender, Statement, digest_of_attestation
from bonafide.stores.admission_keys import create_admission_key, read_admission_key
from bonafide.terms import EvidenceEnvironment, ProofKind, Tier
from tests import canaries
from tests.django import bound_api, sealed_api
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
    from pathlib import Path

    from bonafide.testing.client import AppClient

    Send = Callable[[httpx.Request], httpx.Response]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("locked")]

ATTESTATION = "oauth-client-attestation"
HEADER = "Bonafide-Admission"


class Gate:
    """Speaks for requests, as a gate would that has judged them."""

    def __init__(self, key_file: Path) -> None:
        self.key_file = key_file
        canaries.plant("admission key", read_admission_key(key_file))

    def sender(self, request: httpx.Request, *, proof: ProofKind = ProofKind.SESSION) -> Sender:
        """Return who signed the request."""
        token = request.headers[ATTESTATION]
        claims = client_attestation.parse(token)
        return Sender(
            instance=claims.instance,
            jkt=thumbprint(claims.sign_jwk),
            app=claims.app,
            identity=claims.identity,
            environment=claims.environment,
            tier=claims.tier,
            proof=proof,
            app_version=claims.app_version,
            warnings=claims.warnings,
            digest=request.headers["content-digest"] if proof.covers_body else None,
            attestation=digest_of_attestation(token),
        )

    def statement(self, request: httpx.Request, who: Sender | None, **changes: Any) -> Statement:
        """Return what is said of a request on `/api/**`."""
        said = Statement(
            method=request.method,
            authority=request.headers["host"],
            target=request.url.raw_path.decode("ascii"),
            route="/api/**",
            client="app",
            record="the-gates-record",
            fields="" if who is None else digest_of_fields(request.headers),
            issued_at=datetime.now(UTC),
            sender=who,
        )
        return said._replace(**changes)

    def told(self, request: httpx.Request, said: Statement, **headers: str | None) -> httpx.Request:
        """Return the request as the proxy hands it on; `headers` replaces some (`_` stands for `-`)."""
        changed = httpx.Headers(request.headers)
        changed[HEADER] = statements.issue(said, key=read_admission_key(self.key_file))
        canaries.plant("statement", changed[HEADER])
        for name, value in headers.items():
            changed.pop(name.replace("_", "-"), None)
            if value is not None:
                changed[name.replace("_", "-")] = value
        return httpx.Request(request.method, request.url, headers=changed, content=request.content)

    def admitted(self, request: httpx.Request, *, proof: ProofKind = ProofKind.SESSION) -> httpx.Request:
        """Return a signed request that the gate admitted."""
        return self.told(request, self.statement(request, self.sender(request, proof=proof)))

    def passed(self, request: httpx.Request, **changes: Any) -> httpx.Request:
        """Return a request of which the gate says that nothing was admitted."""
        return self.told(request, self.statement(request, None, **changes))


@pytest.fixture
def gate(settings: Any, tmp_path: Path, bonafide_client: AppClient) -> Gate:
    """Put a gate before the project. The phone enrols past it, at the service's own endpoints."""
    path = tmp_path / "admission.key"
    create_admission_key(path, random=os.urandom)
    configure(settings, BEHIND_GATE={"key_files": [str(path)]})
    bonafide_client.make_ready()
    return Gate(path)


@pytest.mark.parametrize("proof", [ProofKind.HARDWARE, ProofKind.SESSION])
@pytest.mark.parametrize("path", ["/api/echo", "/api/echo/b%C3%A9b%C3%A9?q=1&q=%20", "/api/async"])
def test_what_the_gate_admitted_is_admitted(
    gate: Gate, bonafide_client: AppClient, send: Send, proof: ProofKind, path: str
) -> None:
    said = content(send(gate.admitted(signed(bonafide_client, path=path, proof=proof), proof=proof)))
    enrolled = bonafide_client.device.keychain.enrolled
    assert enrolled is not None
    assert (said["verdict"], said["instance"], said["proof"]) == ("Admitted", enrolled.instance, proof)
    assert said["bonafide_headers"] == []


def as_value(request: httpx.Request) -> HttpRequest:
    return HttpRequest(
        method="GET",
        origin=Origin(scheme="https", authority="testserver"),
        target="/api/echo",
        headers={name.lower(): value for name, value in request.headers.items()},
    )


def test_verdict_is_the_one_without_a_gate(settings: Any, gate: Gate, bonafide_client: AppClient) -> None:
    request = signed(bonafide_client)
    here = runtime.current()
    sent = as_value(request)
    decided = admit(sent, gate=here.gate(), now=datetime.now(UTC))
    assert isinstance(decided, PendingAdmission)
    token = gate.admitted(request).headers[HEADER]
    judged = behind_gate.judge(token, sent, keys=here.admission_keys, routes=here.routes, now=datetime.now(UTC))
    without = decided.settle(FirstUse.FIRST)
    assert isinstance(judged.verdict, Admitted)
    assert isinstance(without, Admitted)
    # A statement tells the time of the judgement in whole seconds.
    assert judged.verdict == without._replace(judged_at=judged.verdict.judged_at)


def test_request_past_the_gate_is_refused_also_where_its_route_observes_or_is_open(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    for mode in ("enforce", "observe", "50%"):
        rule(settings, mode=mode)
        for request in (unsigned(), signed(bonafide_client), unsigned(path="/open/health"), unsigned(path="/nowhere")):
            answer = send(request)
            assert (answer.status_code, reason(answer)) == (403, "statement.missing")
            assert answer.headers["bonafide-action"] == "give_up"
            assert refusal(answer).enforced
    assert RUNS == []


REFUSED: list[tuple[str, dict[str, Any], dict[str, str | None], int]] = [
    ("statement.malformed", {}, {"bonafide_admission": "x"}, 403),
    ("statement.request_mismatch", {"method": "POST"}, {}, 403),
    ("statement.request_mismatch", {"authority": "api.example.com"}, {}, 403),
    ("statement.request_mismatch", {"target": "/api/echo?"}, {}, 403),
    ("statement.stale", {"issued_at": datetime(2026, 1, 1, tzinfo=UTC)}, {}, 503),
    ("statement.route_mismatch", {"route": "/api/*"}, {}, 503),
    ("statement.route_mismatch", {"route": ""}, {}, 503),
    ("statement.route_mismatch", {"client": "open"}, {}, 503),
    ("statement.attestation_mismatch", {}, {"oauth_client_attestation": None}, 403),
    ("statement.attestation_mismatch", {}, {"oauth_client_attestation": "a.b.c"}, 403),
    ("request.host_unknown", {}, {"host": "evil.example"}, 400),
]


@pytest.mark.parametrize(("code", "changes", "headers", "status"), REFUSED)
def test_request_that_differs_in_one_respect_from_what_the_gate_said_is_refused(
    settings: Any, gate: Gate, bonafide_client: AppClient, code: str, changes: Any, headers: Any, status: int
) -> None:
    for mode in ("enforce", "observe"):
        rule(settings, mode=mode)
        request = signed(bonafide_client)
        said = gate.statement(request, gate.sender(request), **changes)
        for send in (send_wsgi, send_to_event_loop):
            answer = send(gate.told(request, said, **headers))
            assert (reason(answer), answer.status_code) == (code, status)
    assert RUNS == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"instance": "another"}, "statement.attestation_mismatch"),
        ({"jkt": "another"}, "statement.attestation_mismatch"),
        ({"app": "another"}, "statement.attestation_mismatch"),
        ({"identity": "another"}, "statement.attestation_mismatch"),
        ({"environment": EvidenceEnvironment.DEBUG}, "statement.attestation_mismatch"),
        ({"app_version": "9.9"}, "statement.attestation_mismatch"),
        ({"warnings": ("x",)}, "statement.attestation_mismatch"),
        ({"tier": Tier.WARNING}, "statement.route_mismatch"),
        ({"digest": "sha-256=:x:"}, "proof.digest_mismatch"),
    ],
)
def test_sender_who_is_not_the_one_of_the_attestation_is_refused(
    gate: Gate, bonafide_client: AppClient, send: Send, changes: dict[str, Any], code: str
) -> None:
    request = signed(bonafide_client)
    said = gate.statement(request, replace(gate.sender(request), **changes))
    assert reason(send(gate.told(request, said))) == code


def test_sender_whose_tier_is_not_the_attestations_is_refused(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, tier="none")
    request = signed(bonafide_client)
    said = gate.statement(request, replace(gate.sender(request), tier=Tier.WARNING))
    assert reason(send(gate.told(request, said))) == "statement.attestation_mismatch"


def test_attestation_that_cannot_be_read_is_refused(gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    request = signed(bonafide_client)
    for text in ("", "x"):
        who = replace(gate.sender(request), attestation=digest_of_attestation(text))
        told = gate.told(request, gate.statement(request, who), oauth_client_attestation=text or None)
        assert reason(send(told)) == "client_attestation.malformed"


def test_gate_with_a_weaker_rule_is_not_believed(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, proof="hardware")
    request = signed(bonafide_client)
    assert reason(send(gate.admitted(request))) == "statement.route_mismatch"
    assert content(send(gate.admitted(request, proof=ProofKind.HARDWARE)))["proof"] == "hardware"


ANSWER_KEY = AnswerKey(sid=bytes(16), key=bytes(range(32)))
RECORD = base64url.encode(bytes(range(16)))


def test_gate_that_hands_no_key_on_is_not_believed_where_the_answer_is_to_be_sealed(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    for mode in ("enforce", "observe"):
        rule(settings, seal=True, mode=mode)
        assert reason(send(gate.admitted(signed(bonafide_client)))) == "statement.route_mismatch"
    assert RUNS == []


@pytest.mark.parametrize("seal", [True, False])
def test_key_that_the_gate_handed_on_is_the_verdicts_whatever_our_rule_says(
    settings: Any, gate: Gate, bonafide_client: AppClient, *, seal: bool
) -> None:
    rule(settings, seal=seal)
    here = runtime.current()
    request = signed(bonafide_client)
    said = gate.statement(request, gate.sender(request), answer_key=ANSWER_KEY, record=RECORD)
    token, sent = gate.told(request, said).headers[HEADER], as_value(request)
    judged = behind_gate.judge(token, sent, keys=here.admission_keys, routes=here.routes, now=datetime.now(UTC))
    assert isinstance(judged.verdict, Admitted)
    assert judged.verdict.answer_key == ANSWER_KEY


def test_answer_is_sealed_under_the_key_that_the_gate_handed_on(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, seal=True)
    request = signed(bonafide_client)
    said = gate.statement(request, gate.sender(request), answer_key=ANSWER_KEY, record=RECORD)
    answer = send(gate.told(request, said))
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert b'"Admitted"' in open_sealed(answer.content, ANSWER_KEY, status=200).body


@pytest.mark.parametrize("view", ["marked", "permitted", "rendered"])
def test_view_that_seals_fails_closed_where_the_gate_hands_no_key_on(
    settings: Any, gate: Gate, bonafide_client: AppClient, view: str
) -> None:
    settings.ROOT_URLCONF = "tests.django.sealed_api"
    browsers = [{"match": f"/{name}/**", "client": "browser"} for name in ("clear", "browser")]
    configure(settings, ROUTES=[{"match": "/api/**"}, *browsers])
    sealed_api.RUNS.clear()
    with pytest.raises(Misuse, match=r"sealed\.key_missing"):
        send_wsgi(gate.admitted(signed(bonafide_client, path=f"/api/{view}")))
    assert view == "rendered" or sealed_api.RUNS == []
    request = signed(bonafide_client, path=f"/api/{view}")
    said = gate.statement(request, gate.sender(request), answer_key=ANSWER_KEY, record=RECORD)
    answer = send_wsgi(gate.told(request, said))
    assert sealed_api.CANARY.encode() in open_sealed(answer.content, ANSWER_KEY, status=200).body


def renew_by_key_alone(client: AppClient, age: timedelta) -> None:
    """Let the phone's last evidence be so old, and renew without giving any."""
    Instance.objects.update(asserted_at=datetime.now(UTC) - age)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client.device, "make_assertion", lambda _message: [])
        client.renew()


def test_gate_that_took_stale_evidence_is_not_believed(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, fresh=30)
    request = signed(bonafide_client)
    assert content(send(gate.admitted(request, proof=ProofKind.HARDWARE)))["proof"] == "hardware"
    renew_by_key_alone(bonafide_client, timedelta(seconds=34))
    request = signed(bonafide_client)
    who = gate.sender(request, proof=ProofKind.HARDWARE)
    assert reason(send(gate.told(request, gate.statement(request, who)))) == "statement.route_mismatch"
    # It is compared with when the gate judged, not with when its word arrives.
    earlier = gate.statement(request, who, issued_at=datetime.now(UTC) - timedelta(seconds=7))
    assert reason(send(gate.told(request, earlier))) == ""


def test_dpop_is_believed_where_the_projects_own_rule_takes_it_and_there_its_body_is_nobodys(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    request = signed(bonafide_client, "POST", proof=ProofKind.DPOP, content=b"body")
    told = gate.admitted(request, proof=ProofKind.DPOP)
    for keys in ({}, {"proof": "hardware"}):
        rule(settings, **keys)
        assert reason(send(told)) == "statement.route_mismatch"
    rule(settings, proof="dpop")
    answer = send(told)
    assert (content(answer)["proof"], content(answer)["body"]) == ("dpop", "body")
    assert "dpop-nonce" not in answer.headers  # the gate has handed one out
    edited = httpx.Request("POST", told.url, headers=told.headers, content=b"bodX")
    assert content(send(edited))["body"] == "bodX"


def test_nobody_is_admitted_where_the_project_admits_nobody(gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    for path, changes in (("/open/health", {"route": "/open/**", "client": "open"}), ("/nowhere", {"route": ""})):
        request = signed(bonafide_client, path=path)
        told = gate.told(request, gate.statement(request, gate.sender(request), **changes))
        assert reason(send(told)) == "statement.route_mismatch"


def test_statement_of_a_gate_with_another_key_is_refused(
    gate: Gate, bonafide_client: AppClient, send: Send, tmp_path: Path
) -> None:
    create_admission_key(tmp_path / "other.key", random=os.urandom)
    forged = Gate(tmp_path / "other.key").admitted(signed(bonafide_client))
    assert reason(send(forged)) == "statement.signature_invalid"


def test_two_keys_hold_while_one_is_replaced(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send, tmp_path: Path
) -> None:
    create_admission_key(tmp_path / "next.key", random=os.urandom)
    configure(settings, BEHIND_GATE={"key_files": [str(gate.key_file), str(tmp_path / "next.key")]})
    content(send(gate.admitted(signed(bonafide_client))))
    content(send(Gate(tmp_path / "next.key").admitted(signed(bonafide_client))))


def test_request_past_the_gate_is_told_apart_from_one_that_is_odd_besides(gate: Gate, send: Send) -> None:
    assert reason(send(unsigned(headers={"host": "10.0.0.7"}))) == "statement.missing"


def test_two_statements_are_none(gate: Gate, bonafide_client: AppClient) -> None:
    good = gate.admitted(signed(bonafide_client))
    doubled = gate.told(good, gate.statement(good, gate.sender(good)))
    doubled.headers[HEADER] = f"{good.headers[HEADER]},{good.headers[HEADER]}"
    assert reason(send_wsgi(doubled)) == "statement.missing"
    several = httpx.Headers([*good.headers.multi_items(), ("bonafide_admission", good.headers[HEADER])])
    request = httpx.Request(good.method, good.url, headers=several)
    assert reason(send_to_event_loop(request)) == "statement.missing"


def test_statement_under_a_name_with_an_underscore_is_none(gate: Gate, bonafide_client: AppClient) -> None:
    good = gate.admitted(signed(bonafide_client))
    token = good.headers.pop(HEADER)
    good.headers["bonafide_admission"] = token
    assert reason(send_to_event_loop(good)) == "statement.missing"


def test_without_a_gate_its_word_means_nothing(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    configure(settings, BEHIND_GATE=None)
    told = gate.passed(unsigned())
    assert reason(send(told)) == "client_attestation.missing"
    said = content(send(gate.told(signed(bonafide_client), gate.statement(unsigned(), None))))
    assert (said["verdict"], said["bonafide_headers"]) == ("Admitted", [])


# The body ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"body", b"x" * 2_000_000])
def test_body_that_was_signed_is_what_the_view_reads(
    gate: Gate, bonafide_client: AppClient, send: Send, body: bytes
) -> None:
    said = content(send(gate.admitted(signed(bonafide_client, "POST", content=body))))
    assert said["body"] == body.decode()


def edited(request: httpx.Request, body: bytes) -> httpx.Request:
    headers = httpx.Headers(request.headers)
    headers["content-length"] = str(len(body))
    return httpx.Request(request.method, request.url, headers=headers, content=body)


def test_other_body_is_refused_and_the_gates_record_is_kept(gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    answer = send(edited(gate.admitted(signed(bonafide_client, "POST", content=b"body")), b"bodY"))
    assert reason(answer) == "proof.digest_mismatch"
    record = refusal(answer)
    assert "the-gates-record" in record.detail
    enrolled = bonafide_client.device.keychain.enrolled
    assert enrolled is not None
    assert (record.instance, record.route, record.pk) == (
        enrolled.instance,
        "/api/**",
        answer.headers["bonafide-record"],
    )
    assert RUNS == []


def test_other_body_on_a_route_that_observes_is_written_down_and_passes_unadmitted(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    rule(settings, mode="observe")
    said = content(send(edited(gate.admitted(signed(bonafide_client, "POST", content=b"body")), b"bodY")))
    assert (said["verdict"], said["body"]) == ("NoneType", "bodY")
    (record,) = would_have_refused()
    assert (record.reason, record.enforced) == ("proof.digest_mismatch", False)


def test_limit_of_the_rule_is_the_projects(settings: Any, gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    rule(settings, max_body="10B")
    answer = send(gate.admitted(signed(bonafide_client, "POST", content=b"x" * 11)))
    assert (answer.status_code, reason(answer)) == (413, "request.body_too_large")


# What nobody was admitted to -------------------------------------------------------------------------


def test_what_the_gate_let_through_in_a_rehearsal_passes_unadmitted_and_is_not_written_down_again(
    gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    for request in (unsigned(), unsigned("POST", content=b"any"), signed(bonafide_client)):
        assert content(send(gate.passed(request)))["verdict"] == "NoneType"
    assert would_have_refused() == []


def test_request_that_no_rule_names_passes_where_the_gate_says_so(gate: Gate, send: Send) -> None:
    told = gate.passed(unsigned(path="/nowhere"), route="")
    assert send(told).status_code == 404
    slashes = unsigned(path="/api//echo")
    assert send(gate.passed(slashes, route="")).status_code == 404
    assert would_have_refused() == []


@pytest.mark.parametrize(
    ("path", "pattern", "client"), [("/open/health", "/open/**", "open"), ("/console/login/", "/console/**", "browser")]
)
def test_route_that_asks_for_no_proof_is_exempt(gate: Gate, send: Send, path: str, pattern: str, client: str) -> None:
    answer = send(gate.passed(unsigned(path=path), route=pattern, client=client))
    assert answer.status_code == 200
    if path == "/open/health":
        assert json.loads(answer.content)["verdict"] == "Exempt"


@pytest.mark.parametrize(
    ("headers", "until", "verdict"),
    [
        ({}, "2999-01-01", "Unproven"),
        ({ATTESTATION: "x"}, "2999-01-01", "NoneType"),
        ({"signature": "x"}, "2999-01-01", "NoneType"),
        ({"signature-input": "x"}, "2999-01-01", "NoneType"),
        ({}, "2020-01-01", "NoneType"),
    ],
)
def test_old_app_version_is_told_from_a_rehearsal(
    settings: Any, gate: Gate, send: Send, headers: dict[str, str], until: str, verdict: str
) -> None:
    rule(settings, legacy={"until": until, "max_share": 0.5})
    assert content(send(gate.passed(unsigned(headers=headers))))["verdict"] == verdict


# What stands on the verdict --------------------------------------------------------------------------


def test_admitted_requests_are_counted(gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    content(send(gate.admitted(signed(bonafide_client))))
    would_have_refused()
    row = ObservedRoute.objects.get(route="/api/**", reason="")
    assert (row.app, row.count) == ("app-under-test", 1)


def test_the_services_own_endpoints_need_no_gate(gate: Gate, bonafide_client: AppClient) -> None:
    assert bonafide_client.device.keychain.enrolled is not None  # the fixture enrols with the gate in place


class Detour:
    """A middleware behind ours that leads a request of the service to the project's views."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.path_info = "/api/echo"
        response: HttpResponse = self._get_response(request)
        return response


def test_request_that_was_to_need_no_gate_reaches_no_other_view_though_everything_observes(
    settings: Any, gate: Gate
) -> None:
    rule(settings, mode="observe")
    settings.MIDDLEWARE = [settings.MIDDLEWARE[0], f"{Detour.__module__}.{Detour.__qualname__}"]
    assert reason(send_wsgi(unsigned(path="/bonafide/v1/jwks.json"))) == "route.not_listed"
    assert RUNS == []


def test_credential_is_bound_to_whom_the_gate_names(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    settings.ROOT_URLCONF = "tests.django.bound_api"
    login = signed(bonafide_client, "POST", "/api/login", json={"token": "t", "user": "7"}, proof=ProofKind.HARDWARE)
    assert content(send(gate.admitted(login, proof=ProofKind.HARDWARE)))["outcome"] == "bound"
    assert CredentialBinding.objects.get().jkt == bonafide_client.device.keychain.jkt
    me = signed(bonafide_client, path="/api/me", headers={"Authorization": "Bearer t"})
    assert content(send(gate.admitted(me)))["outcome"] == "bound"


def test_decorators_demand_what_they_always_do(
    settings: Any, gate: Gate, bonafide_client: AppClient, send: Send
) -> None:
    settings.ROOT_URLCONF = "tests.django.bound_api"
    for name in bound_api.VIEWS:
        if not name.startswith(("hardware", "fresh")):
            assert send(gate.admitted(signed(bonafide_client, path=f"/api/{name}"))).status_code == 200
    hard = signed(bonafide_client, path="/api/hardware")
    assert reason(send(gate.admitted(hard))) == "route.proof_kind_too_weak"
    fresh = signed(bonafide_client, path="/api/fresh")
    assert send(gate.admitted(fresh, proof=ProofKind.HARDWARE)).status_code == 200
    renew_by_key_alone(bonafide_client, timedelta(seconds=40))
    stale = signed(bonafide_client, path="/api/fresh")
    assert reason(send(gate.admitted(stale, proof=ProofKind.HARDWARE))) == "route.not_fresh"


def test_project_whose_key_cannot_be_read_does_not_start(settings: Any, gate: Gate) -> None:
    gate.key_file.chmod(0o644)
    configure(settings, SPOOL_MEMORY=1)  # another value of the settings: the keys are read anew
    with pytest.raises(ConfigurationError) as caught:
        BonafideMiddleware(HttpResponse)
    assert caught.value.reason is configuration_reasons.KEYS_UNSAFE


def test_statement_holds_for_ten_seconds(gate: Gate, bonafide_client: AppClient, send: Send) -> None:
    request = signed(bonafide_client)
    for age, code in ((timedelta(seconds=8), ""), (timedelta(seconds=12), "statement.stale")):
        said = gate.statement(request, gate.sender(request), issued_at=datetime.now(UTC) - age)
        assert reason(send(gate.told(request, said))) == code
