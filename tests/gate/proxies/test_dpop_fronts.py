"""DPoP through the whole front: a real proxy, a real gate, and an API that reads what the gate said."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide import statement
from bonafide.gate.proxies import nginx
from bonafide.http import HttpRequest
from bonafide.proof import dpop
from bonafide.terms import ProofKind
from tests import gate_world
from tests.gate.proxies.judging import having
from tests.gate.proxies.stage import Stage
from tests.gate.proxies.starting import STARTS
from tests.gate.proxies.test_real_gate import arrived, sent
from tests.gate.world import RunningGate, fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

RULES = (
    {"match": "/api/dpop/**", "proof": "dpop", "max_body": "64KiB"},
    {"match": "/api/**", "max_body": "64KiB"},
)
ROUTES = """\
[[route]]
match = "/api/dpop/**"
proof = "dpop"
max_body = "64KiB"

[[route]]
match = "/api/**"
max_body = "64KiB"
"""
TOKEN = "token-of-a-user"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    running = RunningGate(home=tmp_path_factory.mktemp("gate") / "home", routes=ROUTES)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module", params=STARTS)
def running(request: pytest.FixtureRequest, gate: RunningGate, require_program: RequireProgram) -> Iterator[Stage]:
    start, apt = STARTS[request.param]
    program = require_program(request.param, apt=apt)
    with Stage(lambda stage: start(stage, program), rules=RULES, gate_socket=gate.socket) as stage:
        yield stage


@pytest.fixture
def stage(running: Stage) -> Stage:
    running.forget()
    return running


def proven(target: str = "/api/dpop/me", nonce: str | None = None, **headers: str) -> HttpRequest:
    """Return a request with a DPoP proof, made now."""
    now = datetime.now(UTC).replace(microsecond=0)
    held = {"issued_at": now - timedelta(seconds=1), "expires_at": now + timedelta(minutes=4)}
    proof = dpop.prove(
        "GET",
        f"{gate_world.ORIGIN}{target.partition('?')[0]}",
        key=gate_world.SIGN,
        issued_at=int(now.timestamp()),
        identifier=secrets.token_hex(16),
        access_token=TOKEN,
        nonce=nonce,
    )
    fields: dict[str, Any] = {
        "oauth-client-attestation": gate_world.token(**held),
        "authorization": f"DPoP {TOKEN}",
        "dpop": proof,
        **headers,
    }
    return HttpRequest(method="GET", origin=gate_world.ORIGIN, target=target, headers=fields)


def told_nonce(stage: Stage) -> str:
    """Return the nonce that comes with the refusal of a proof without one."""
    return stage.ask(sent(proven())).one("DPoP-Nonce")


def test_refusal_for_a_nonce_reaches_the_client_with_the_nonce(stage: Stage) -> None:
    answer = stage.ask(sent(proven()))
    assert answer.status == 401
    assert answer.one("WWW-Authenticate") == 'DPoP algs="ES256", error="use_dpop_nonce"'
    assert answer.one("Bonafide-Action") == "sign_again"
    assert len(answer.one("DPoP-Nonce")) > 76
    assert not stage.api.seen


def test_proof_with_the_nonce_is_admitted_and_the_next_nonce_comes_with_the_apis_answer(
    stage: Stage, gate: RunningGate
) -> None:
    nonce = told_nonce(stage)
    answer = stage.ask(sent(proven("/api/dpop/me?a=1", nonce)))
    assert answer.status == 200
    assert [value for value in answer.all("DPoP-Nonce") if value not in ("", nonce)]
    (got,) = stage.api.seen
    said = statement.verify(
        got.one("Bonafide-Admission"), keys=[gate.admission_key], request=arrived(got), now=datetime.now(UTC)
    )
    assert said.sender is not None
    assert (said.sender.proof, said.sender.digest, said.sender.jkt) == (ProofKind.DPOP, None, gate_world.JKT)


def test_proof_is_used_once(stage: Stage) -> None:
    message = sent(proven(nonce=told_nonce(stage)))
    assert [stage.ask(message).status for _ in range(2)] == [200, 401]
    assert len(stage.api.seen) == 1


def test_two_proofs_are_refused(stage: Stage) -> None:
    nonce = told_nonce(stage)
    message = sent(proven(nonce=nonce))
    assert stage.ask(having(message, ("DPoP", message.one("Dpop")))).status in {400, 401}
    assert stage.ask(having(sent(proven(nonce=nonce)), ("Signature", "bonafide=:AAAA:"))).status == 401
    assert not stage.api.seen


def test_cookie_that_is_not_ascii_is_refused_or_reaches_nobody(stage: Stage) -> None:
    """No DPoP proof covers a cookie, and gate and API must read the same one all the same."""
    nonce = told_nonce(stage)
    assert stage.ask(having(sent(proven(nonce=nonce)), ("Cookie", "sid=\xff"))).status in {400, 401}
    assert not stage.api.seen


def test_route_that_needs_more_refuses_and_says_nothing_of_dpop(stage: Stage) -> None:
    answer = stage.ask(sent(proven("/api/other", told_nonce(stage))))
    assert answer.status == 401
    assert answer.one("WWW-Authenticate").startswith("ClientAttestation ")
    assert not [value for value in answer.all("DPoP-Nonce") if value]


def test_our_own_proof_passes_on_the_same_route_and_gets_no_nonce(stage: Stage) -> None:
    answer = stage.ask(sent(fresh("/api/dpop/me")))
    assert answer.status == 200
    assert not [value for value in answer.all("DPoP-Nonce") if value]


def test_lines_for_the_nonce_stand_only_where_a_route_takes_dpop(stage: Stage) -> None:
    (site, *_) = stage.front.sites
    assert "add_header DPoP-Nonce $bonafide_nonce always;\n\nlocation" in nginx.server_level(stage.front, site)
    plain = Stage(lambda _: pytest.fail("not started"))
    (other, *_) = plain.front.sites
    assert nginx.server_level(plain.front, other).count("add_header DPoP-Nonce") == 1  # of a refusal
