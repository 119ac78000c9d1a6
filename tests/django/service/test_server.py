"""`bonafide serve` as a program: what it makes, what it serves, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.django.service.running import RunningService

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
