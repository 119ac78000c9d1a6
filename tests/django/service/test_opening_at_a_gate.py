"""An opening from the command to its end, by a real service and a real gate: nobody closes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bonafide.codec import jwk
from bonafide.codec.jose import parse_jws
from bonafide.codec.json import parse_object
from bonafide.gate.identity import read_gate_key
from bonafide.http import HttpRequest
from tests import gate_world
from tests.django.service.running import RunningService
from tests.gate.world import RunningGate, asked
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTE = "/api/**"
SLIP = "/apl/**"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(home=tmp_path_factory.mktemp("opening") / "home")
    running.init()
    running.start("--workers", "1")
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def gate(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    running = RunningGate(home=tmp_path_factory.mktemp("gate") / "gate")
    public = read_gate_key(running.home / "gate.key").public_key()
    service.run("gates", "add", "gate-1", "--jwk", json.dumps(jwk.from_public(public)))
    keys = ", ".join(f'"{thumbprint}"' for thumbprint in service.thumbprints())
    running.write(
        service=f'"{service.origin}/bonafide/v1"',
        environment='"staging"',
        issuer=f'"{service.origin}"',
        audience=f'"{service.origin}"',
        service_keys=f"[{keys}]",
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()


def without_proof(gate: RunningGate) -> tuple[int, bool]:
    """Ask about a request of nobody; return the status, and whether the gate says that it admitted it."""
    request = HttpRequest(method="GET", origin=gate_world.ORIGIN, target="/api/config", headers={})
    answer = gate.ask(asked(request))
    word = answer.fields.get("bonafide-admission")
    return answer.status, word is not None and parse_object(parse_jws(word).payload)["admitted"] is True


def test_an_opening_lets_its_route_observe_and_ends_by_itself(service: RunningService, gate: RunningGate) -> None:
    assert without_proof(gate) == (401, False)
    service.run("open", "--route", SLIP, "--for", "30m", "--because", "a slip of the finger")
    eventually(lambda: f"route {SLIP} is open until" in gate.log.read_text(), "the gate says aloud what it was told")
    assert without_proof(gate) == (401, False)  # no rule has that pattern
    said = service.run("open", "--route", ROUTE, "--for", "8s", "--because", "a test")
    assert "no gate has confirmed a rule of exactly this pattern" in said
    eventually(lambda: without_proof(gate) == (204, False), "the gate lets it pass, and admits nobody")
    eventually(lambda: without_proof(gate) == (401, False), "the gate refuses again")
    assert [line.split()[0] for line in service.run("open", "--list", code=1).splitlines() if "until" in line] == [SLIP]
    assert [line for line in gate.log.read_text().splitlines() if '"opened": true' in line]
