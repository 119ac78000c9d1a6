"""Several gates over one Redis: a proof passes once in all of them, a rate is one rate, and silence refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.gate.test_gate import refused
from tests.gate.world import RunningGate, asked, fresh
from tests.stores.redis_servers import RedisServer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import RequireProgram

    Making = Callable[..., RunningGate]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, require_program: RequireProgram) -> Iterator[RedisServer]:
    require_program("redis-server", apt="redis-server")
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Making]:
    made: list[RunningGate] = []

    def build(store: str, **how: str) -> RunningGate:
        gate = RunningGate(home=tmp_path / f"gate{len(made)}", extra=how.pop("extra", ""))
        made.append(gate)
        gate.write(replay_store=f'"{store}"', hosts="3", **how)
        return gate

    yield build
    for gate in made:
        gate.stop()


def admits(gate: RunningGate) -> bool:
    """Tell whether the gate admits a fresh proof: a store that was born just now does not, for some seconds."""
    return gate.ask(asked(fresh())).status == 204


def test_a_proof_passes_once_at_all_gates_together(make: Making, server: RedisServer) -> None:
    gates = [make(server.url), make(server.url)]
    for gate in gates:
        gate.start()
    eventually(lambda: admits(gates[0]))
    for first, second in (gates, gates[::-1]):
        request = asked(fresh())
        assert first.ask(request).status == 204
        refused(second, request, "proof.replayed")


def test_a_silent_store_refuses_until_it_speaks_again(make: Making, server: RedisServer) -> None:
    gate = make(server.url, store_timeout="0.2")
    gate.start()
    eventually(lambda: admits(gate))
    server.pause()
    try:
        answer = refused(gate, asked(fresh()), "store.unavailable")
        assert (answer.status, answer.fields["bonafide-status"]) == (403, "503")
        assert gate.get("/health").status == 200
    finally:
        server.resume()
    eventually(lambda: admits(gate))


def test_a_rate_is_one_rate_at_all_gates(make: Making, server: RedisServer) -> None:
    extra = f'[limits]\nstore = "{server.url}"\ninstance = "1000/hour"\nnetwork = "4/hour"'
    gates = [make(server.url, extra=extra), make(server.url, extra=extra)]
    for gate in gates:
        gate.start()
    statuses = [gate.ask(asked(fresh(), Originaladdress="198.51.100.1")).fields for gate in gates * 3]
    limited = [fields for fields in statuses if fields.get("bonafide-status") == "429"]
    assert len(limited) == 2


def test_counters_that_do_not_answer_refuse(make: Making, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "counters") as counters:
        gate = RunningGate(home=tmp_path / "gate", extra=f'[limits]\nstore = "{counters.url}"')
        try:
            gate.start()
            assert admits(gate)
            counters.kill()
            refused(gate, asked(fresh()), "store.unavailable")
            counters.start()
            eventually(lambda: admits(gate))
        finally:
            gate.stop()


def test_a_store_that_may_evict_a_live_nonce_stops_the_start(make: Making, tmp_path: Path) -> None:
    options = {"maxmemory": "50mb", "maxmemory-policy": "allkeys-lru"}
    with (
        RedisServer(tmp_path / "cache", options=options) as cache,
        pytest.raises(AssertionError, match=r"store\.evicts"),
    ):
        make(cache.url).start()


def test_a_store_that_cannot_be_reached_yet_does_not_stop_the_start(make: Making, tmp_path: Path) -> None:
    late = RedisServer(tmp_path / "late")
    gate = make(late.url)
    gate.start()
    refused(gate, asked(fresh()), "store.unavailable")
    with late:
        eventually(lambda: admits(gate))
