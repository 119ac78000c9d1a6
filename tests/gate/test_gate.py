"""A gate as a process: what it says to a proxy, and that it says no wherever it does not know."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide import opening, statement
from bonafide.codec.jose import parse_jws
from bonafide.codec.json import parse_object
from bonafide.http import HttpRequest
from bonafide.opening import Opening
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import HardwareSigner
from bonafide.terms import Environment, EvidenceEnvironment, Tier
from tests import gate_world
from tests.gate.service import ISSUER, SERVICE_KEY
from tests.gate.world import Connection, RunningGate, asked, fresh
from tests.gate_world import JKT
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gate.world import Answer


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    running = RunningGate(home=tmp_path_factory.mktemp("gate"), extra='[limits]\nnetwork = "100000/minute"')
    try:
        running.start()
        yield running
    finally:
        running.stop()


def admitted(gate: RunningGate, request: HttpRequest, **changes: str | None) -> statement.Statement:
    """Ask, and read the statement as the API would."""
    answer = gate.ask(asked(request, **changes))
    assert answer.status == 204, answer
    return statement.verify(
        answer.fields["bonafide-admission"], keys=[gate.admission_key], request=request, now=datetime.now(UTC)
    )


def refused(gate: RunningGate, fields: dict[str, str], reason: str) -> Answer:
    """Ask, and read in the log why it was refused."""
    answer = gate.ask(fields)
    assert answer.status in {401, 403}, answer
    assert "bonafide-admission" not in answer.fields
    assert why(gate, answer.fields["bonafide-record"])["reason"] == reason
    return answer


def why(gate: RunningGate, record: str) -> dict[str, Any]:
    """Return the log's line about a record."""
    found: dict[str, Any] = eventually(lambda: [line for line in lines(gate) if line.get("record") == record])[0]
    return found


def lines(gate: RunningGate) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gate.log.read_text().splitlines() if line.startswith("{")]


# What passes ------------------------------------------------------------------------------------------


def test_a_proven_request_passes_with_a_statement_about_it(gate: RunningGate) -> None:
    request = fresh("/api/config?a=1", method="POST")
    said = admitted(gate, request)
    assert said.sender is not None
    assert (said.method, said.authority, said.target) == ("POST", "api.example.com", "/api/config?a=1")
    assert (said.sender.instance, said.sender.jkt, said.sender.app) == (gate_world.claims().instance, JKT, "shop")
    assert said.sender.digest == request.headers["content-digest"]
    assert (said.route, said.client) == ("/api/**", "app")
    assert (said.sender.tier, said.sender.proof.value) == (Tier.AFFIRMING, "session")


def test_a_hardware_proof_passes(gate: RunningGate) -> None:
    said = admitted(gate, fresh("/api/hardware", signer=gate_world.HARDWARE))
    assert said.sender is not None
    assert said.sender.proof.value == "hardware"


def test_a_route_that_asks_for_no_proof_passes_and_names_nobody(gate: RunningGate) -> None:
    said = admitted(gate, HttpRequest(method="GET", origin=gate_world.ORIGIN, target="/health", headers={}))
    assert (said.admitted, said.client) == (False, "open")


def test_a_refusal_on_a_route_that_observes_passes_and_names_nobody(gate: RunningGate) -> None:
    request = fresh("/api/observed")
    answer = gate.ask(asked(request, signature=None))
    assert answer.status == 204
    body = parse_object(parse_jws(answer.fields["bonafide-admission"]).payload)
    assert body["admitted"] is False
    assert "sender" not in body
    line = why(gate, str(body["record"]))
    assert (line["reason"], line["enforced"]) == ("proof.missing", False)


def test_a_proxy_keeps_its_connection(gate: RunningGate) -> None:
    with Connection(gate.socket) as connection:
        assert [connection.get("/admit", asked(fresh())).status for _ in range(3)] == [204] * 3


# What does not ----------------------------------------------------------------------------------------


def test_the_same_request_passes_once(gate: RunningGate) -> None:
    request = fresh()
    admitted(gate, request)
    answer = refused(gate, asked(request), "proof.replayed")
    assert (answer.status, answer.fields["bonafide-status"]) == (401, "401")
    assert answer.fields["bonafide-action"] == "sign_again"
    assert answer.fields["www-authenticate"].startswith("ClientAttestation ")
    assert answer.fields["body"] == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Originaltarget": "/api/other"}, "proof.signature_invalid"),
        ({"Originaltarget": "/api/config?a=2"}, "proof.signature_invalid"),
        ({"Originalmethod": "DELETE"}, "proof.signature_invalid"),
        ({"authorization": "Bearer other"}, "proof.signature_invalid"),
        ({"content-type": "text/plain"}, "proof.components_mismatch"),
        ({"content-digest": digest_of([b"other"])}, "proof.signature_invalid"),
        ({"signature": None}, "proof.missing"),
        ({"oauth-client-attestation": None}, "client_attestation.missing"),
        ({"Originaltarget": "/api//config"}, "request.target_not_canonical"),
        ({"Originaltarget": "https://api.example.com/api/config"}, "request.target_not_canonical"),
        ({"Originaltarget": "*"}, "request.target_not_canonical"),
        ({"Originaltarget": None}, "request.target_not_canonical"),
        ({"Originalmethod": None}, "request.target_not_canonical"),
        ({"Originalmethod": "get"}, "request.method_malformed"),
        ({"Originalhost": "evil.example"}, "request.host_unknown"),
        ({"Originalhost": None}, "request.host_unknown"),
        ({"Originaltarget": "/elsewhere"}, "route.not_listed"),
        ({"Originalupgrade": "websocket"}, "request.upgrade"),
        ({"Originaltrailer": "Signature"}, "request.trailers"),
        ({"content-encoding": "gzip"}, "request.content_coding"),
        ({"x-http-method-override": "DELETE"}, "request.method_override"),
        ({"Originalcoding": "gzip, chunked"}, "request.body_framing"),
        ({"Originalcoding": "chunked", "Originallength": "5"}, "request.body_framing"),
        ({"Originallength": "+5"}, "request.body_framing"),
        ({"Originallength": ""}, "request.body_framing"),
        ({"Originalcoding": ""}, "request.body_framing"),
        ({"Originalcoding": "chunked\xff"}, "request.body_framing"),
        ({"Originallength": "5, 6"}, "request.body_framing"),
        ({"Originallength": "9" * 16}, "request.body_framing"),
        ({"Signature_Input": "x"}, "proof.input_malformed"),
    ],
    ids=str,
)
def test_a_request_that_differs_from_what_was_signed_is_refused(
    gate: RunningGate, changes: dict[str, str | None], reason: str
) -> None:
    refused(gate, asked(fresh(), **changes), reason)


def test_the_proxys_own_fields_count_and_not_the_subrequests(gate: RunningGate) -> None:
    """Nginx's subrequest has a length, an upgrade and a host of its own."""
    fields = {**asked(fresh()), "Upgrade": "h2c", "Trailer": "x", "Host": "gate"}
    assert gate.ask(fields).status == 204


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"issuer": "https://evil.example"}, "client_attestation.issuer_mismatch"),
        ({"audience": "https://other.example"}, "client_attestation.audience_mismatch"),
        ({"environment": EvidenceEnvironment.DEBUG}, "client_attestation.environment_refused"),
        ({"tier": Tier.WARNING}, "route.tier_too_low"),
        ({"app": "other"}, "client_attestation.key_of_another_app"),
        ({"gate_key": "20200101-x"}, "proof.session_key_unknown"),
        ({"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, "client_attestation.expired"),
    ],
    ids=str,
)
def test_a_client_attestation_that_is_not_for_here_is_refused(
    gate: RunningGate, claims: dict[str, Any], reason: str
) -> None:
    refused(gate, asked(fresh(claims=claims)), reason)


def test_a_thief_without_the_key_is_refused(gate: RunningGate) -> None:
    thief = HardwareSigner(ec.derive_private_key(666, ec.SECP256R1()), JKT)
    refused(gate, asked(fresh(signer=thief)), "proof.signature_invalid")


def test_a_session_proof_where_hardware_is_asked_for_is_refused(gate: RunningGate) -> None:
    refused(gate, asked(fresh("/api/hardware")), "route.proof_kind_too_weak")


def test_a_route_that_wants_fresh_evidence_says_what_would_help(gate: RunningGate) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    young, stale = {"asserted_at": now}, {"asserted_at": now - timedelta(seconds=40)}
    said = admitted(gate, fresh("/api/fresh", signer=gate_world.HARDWARE, claims=young))
    assert said.sender is not None
    refused(gate, asked(fresh("/api/fresh", claims=young)), "route.proof_kind_too_weak")
    answer = refused(gate, asked(fresh("/api/fresh", signer=gate_world.HARDWARE, claims=stale)), "route.not_fresh")
    assert (answer.status, answer.fields["bonafide-action"]) == (401, "renew_with_assertion")
    assert answer.fields["www-authenticate"] == 'ClientAttestation error="use_fresh_attestation"'


def test_a_larger_body_than_the_route_takes_is_refused(gate: RunningGate) -> None:
    assert gate.ask(asked(fresh("/api/small"), Originallength="1024")).status == 204
    answer = refused(gate, asked(fresh("/api/small"), Originallength="1025"), "request.body_too_large")
    assert (answer.status, answer.fields["bonafide-status"]) == (403, "413")


@pytest.mark.parametrize("path", ["/", "/admit/", "/elsewhere"])
def test_other_paths_admit_nothing(gate: RunningGate, path: str) -> None:
    assert gate.get(path, asked(fresh())).status == 404


def test_a_ban_takes_effect_and_its_end_too(gate: RunningGate) -> None:
    before = gate.service.state
    gate.service.ban(gate_world.claims().instance)
    try:
        eventually(lambda: gate.ask(asked(fresh())).status == 403)
        refused(gate, asked(fresh()), "client_attestation.revoked")
    finally:
        gate.service.state = before
    eventually(lambda: gate.ask(asked(fresh())).status == 204)


@pytest.mark.parametrize(
    ("kept", "reason"),
    [("keys", "proof.session_key_unknown"), ("gate_keys", "client_attestation.key_unknown")],
)
def test_a_key_that_is_forgotten_admits_nobody_whom_it_admitted_before(
    gate: RunningGate, kept: str, reason: str
) -> None:
    """A stolen key is replaced: what a worker remembers must not be good until it expires."""
    before = gate.service.state
    now = datetime.now(UTC).replace(microsecond=0)  # one attestation throughout, so that it is remembered
    claims = {"issued_at": now - timedelta(seconds=1), "expires_at": now + timedelta(minutes=3)}
    assert gate.ask(asked(fresh(claims=claims))).status == 204
    other = before.gate_keys[0]
    gate.service.state = (
        replace(before, gate_keys=(replace(other, kid="20261101-z", secret=bytes(32)),))
        if kept == "keys"
        else replace(before, keys=())
    )
    try:
        eventually(lambda: gate.ask(asked(fresh(claims=claims))).status != 204)
        refused(gate, asked(fresh(claims=claims)), reason)
    finally:
        gate.service.state = before
    eventually(lambda: gate.ask(asked(fresh())).status == 204)


def test_broken_glass_lets_pass_and_admits_nobody_and_ends_by_itself(gate: RunningGate) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    opened = Opening(
        id="b3BlbmluZy0wMDAwMDAwMQ",
        issuer=ISSUER,
        environment=Environment.PRODUCTION,
        route="/api/**",
        because="the new release signs wrongly",
        by="operator",
        opened_at=now,
        until=now + timedelta(seconds=4),
    )
    unsigned = asked(fresh(), signature=None)
    assert gate.ask(unsigned).status == 401
    before = gate.service.state
    gate.service.state = replace(before, openings=(opening.issue(opened, service_key=SERVICE_KEY),))
    try:
        eventually(lambda: gate.ask(unsigned).status == 204)
        body = parse_object(parse_jws(gate.ask(unsigned).fields["bonafide-admission"]).payload)
        assert body["admitted"] is False
        line = why(gate, str(body["record"]))
        assert (line["reason"], line["enforced"], line["opened"]) == ("proof.missing", False, True)
        assert gate.ask(asked(fresh("/api/hardware"), signature=None)).status == 401  # another route
        eventually(
            lambda: [line for line in lines(gate) if line["level"] == "CRITICAL" and "signs wrongly" in str(line)]
        )
        eventually(lambda: gate.ask(unsigned).status == 401)  # though the service still tells of it
    finally:
        gate.service.state = before


def test_the_counters_tell_what_was_judged(gate: RunningGate) -> None:
    gate.ask(asked(fresh()))
    text = gate.get("/metrics").fields["body"]
    assert 'bonafide_gate_requests_total{upstream="api",verdict="admitted"}' in text
    assert "bonafide_gate_confirmed_timestamp_seconds" in text


def test_health_and_readiness_are_told(gate: RunningGate) -> None:
    assert gate.get("/health").status == 200
    assert gate.get("/ready").status == 200


def test_nothing_secret_is_logged(gate: RunningGate) -> None:
    request = fresh("/api/config?secret=in-the-query")
    refused(gate, asked(request, signature=None), "proof.missing")
    text = gate.log.read_text()
    for secret in ("in-the-query", gate_world.BEARER, request.headers["oauth-client-attestation"]):
        assert secret not in text


def test_the_socket_and_the_state_are_the_gates_own(gate: RunningGate) -> None:
    assert gate.socket.stat().st_mode & 0o777 == 0o660
    state = gate.home / "state"
    assert state.stat().st_mode & 0o077 == 0
    assert (state / "state").stat().st_mode & 0o077 == 0
    assert gate_world.GATE_SECRET.hex() not in (state / "state").read_bytes().hex()


def test_a_gate_without_its_key_does_not_start(tmp_path: Path) -> None:
    running = RunningGate(home=tmp_path / "gate")
    (running.home / "gate.key").unlink()
    with pytest.raises(AssertionError, match=r"configuration\.keys_unsafe"):
        running.start()
