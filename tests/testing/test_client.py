"""httpx signs by itself, in both colours."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from bonafide.terms import ProofKind
from bonafide.testing.client import AsyncAppClient
from bonafide.testing.hints import Refused
from tests.testing.app_world import client_data_of, new_world
from tests.testing.scripted_service import API, INSTANCE, SERVICE_KEY, Refusal

if TYPE_CHECKING:
    from tests.testing.app_world import World


@pytest.fixture
def world() -> World:
    return new_world()


def test_first_request_enrols_and_is_signed_by_the_session(world: World) -> None:
    response = world.start().get("/api/me", headers={"authorization": "Bearer x"})
    assert response.status_code == 200
    assert world.service.asked == ["challenge", "enrol", "api"]
    assert world.service.kinds == [ProofKind.SESSION]
    assert world.phone.enclave.attest_calls == 1


def test_a_path_named_hardware_is_signed_by_the_sign_key(world: World) -> None:
    client = world.start(hardware=["/api/login"])
    client.post("/api/login", json={"name": "ada"})
    client.get("/api/me", extensions={"bonafide_proof": ProofKind.HARDWARE})
    client.get("/api/me")
    assert world.service.kinds == [ProofKind.HARDWARE, ProofKind.HARDWARE, ProofKind.SESSION]


def test_body_cookies_and_content_type_are_covered(world: World) -> None:
    client = world.start(cookies={"a": "b"})
    response = client.post("/api/orders", files={"photo": ("a.png", b"\x89PNG" * 100)}, data={"n": "1"})
    assert response.status_code == 200
    covered = world.service.api_requests[0].headers["signature-input"]
    assert '"cookie" "content-type" "content-digest"' in covered


def test_every_request_has_a_new_nonce(world: World) -> None:
    client = world.start()
    for _ in range(5):
        client.get("/api/me")
    assert len(world.service.nonces) == 5


def test_renewal_is_early_and_keeps_the_instance(world: World) -> None:
    client = world.start()
    client.get("/api/me")
    world.time.now += 239
    client.get("/api/me")
    world.time.now += 1
    client.get("/api/me")
    assert world.service.asked == ["challenge", "enrol", "api", "api", "renew", "api"]
    client_data = json.loads(client_data_of(world.service.bodies[-1]))
    assert client_data["challenge"] == "next-1"
    assert client_data["instance"] == INSTANCE


def test_failed_early_renewal_is_borne_until_the_attestation_expires(world: World) -> None:
    client = world.start()
    client.get("/api/me")
    world.service.script("renew", Refusal("retry_with_challenge"), Refusal("retry_with_challenge"))
    world.time.now += 250
    assert client.get("/api/me").status_code == 200
    world.service.script("renew", Refusal("retry_with_challenge"), Refusal("retry_with_challenge"))
    world.time.now += 60
    with pytest.raises(Refused, match="renewal: 401, action retry_with_challenge, record record"):
        client.get("/api/me")


def test_app_started_again_goes_on_with_what_the_keychain_holds(world: World) -> None:
    world.start().get("/api/me")
    world.start().get("/api/me")
    assert world.service.asked == ["challenge", "enrol", "api", "api"]


def test_asynchronous_client_holds_the_same_conversation(world: World) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def run() -> int:
        client = AsyncAppClient(
            world.phone,
            api=API,
            service_keys=[SERVICE_KEY.kid],
            clock=world.time.phone,
            sleep=sleep,
            transport=httpx.MockTransport(world.service.handle),
        )
        async with client:
            return (await client.get("/api/me")).status_code

    world.service.script("api", Refusal("back_off", 503, "3"), Refusal("sign_again"))
    assert asyncio.run(run()) == 200
    assert slept == [3.0]
    assert world.service.asked == ["challenge", "enrol", "api", "api", "api"]
