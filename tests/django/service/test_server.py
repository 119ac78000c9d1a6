"""`bonafide serve` as a program: what it makes, what it serves, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.django.service.running import AskingGate, RunningService

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(home=tmp_path_factory.mktemp("serve") / "home")
    running.init()
    running.start()
    try:
        yield running
    finally:
        running.kill()


def test_a_phone_enrols_and_renews(service: RunningService) -> None:
    with service.phone() as phone:
        phone.enrol()
        first = phone.device.keychain.enrolled
        phone.renew()
        second = phone.device.keychain.enrolled
    assert first is not None
    assert second is not None
    assert first.instance == second.instance
    assert first.client_attestation != second.client_attestation
    assert len(service.get("/bonafide/v1/jwks.json").json()["keys"]) == 2


def test_a_ban_is_in_the_very_next_answer_to_a_gate(service: RunningService) -> None:
    with service.phone() as phone:
        phone.enrol()
        enrolled = phone.device.keychain.enrolled
    assert enrolled is not None
    gate = AskingGate.registered(service, "gate-ban")
    before = gate.ask()
    assert before.state is not None
    assert enrolled.instance not in before.state.revoked_instances
    assert gate.ask(have=before.tag).state is None
    service.run("ban", "--instance", enrolled.instance, "--because", "a test")
    after = gate.ask(have=before.tag)
    assert after.state is not None
    assert enrolled.instance in after.state.revoked_instances
    service.run("unban", "--instance", enrolled.instance, "--because", "a test")
    lifted = gate.ask(have=after.tag)
    assert lifted.state is not None
    assert enrolled.instance not in lifted.state.revoked_instances


def test_a_retired_gate_is_told_nothing_more(service: RunningService) -> None:
    gate = AskingGate.registered(service, "gate-retired")
    assert gate.ask().state is not None
    service.run("gates", "retire", "gate-retired")
    assert gate.send().status_code == 401


def test_an_opening_reaches_gates_at_once_and_ends_when_it_is_closed(service: RunningService) -> None:
    gate = AskingGate.registered(service, "gate-open")
    service.run("open", "--route", "/api/**", "--for", "30m", "--because", "Apple is away")
    opened = gate.ask()
    assert opened.state is not None
    assert len(opened.state.openings) == 1
    assert service.metric("bonafide_openings") == 1
    assert "/api/**" in service.run("open", "--list", code=1)
    service.run("open", "--close")
    closed = gate.ask(have=opened.tag)
    assert closed.state is not None
    assert not closed.state.openings
    assert service.metric("bonafide_openings") == 0
