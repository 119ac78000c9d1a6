"""The app survives what befalls phones, believes little, and obeys within bounds (PROTOCOL sections 2 to 5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from bonafide.terms import ProofKind
from bonafide.testing.device import AttestationUnavailable
from bonafide.testing.hints import AnswerRefused, OutcomeUnknown, Refused, Stopped
from tests.testing.app_world import client_data_of, lost_renewal, new_world
from tests.testing.scripted_service import FOREIGN_KEY, SERVICE_KEY, Refusal

if TYPE_CHECKING:
    from tests.testing.app_world import World


@pytest.fixture
def world() -> World:
    return new_world()


def test_lost_answer_is_repeated_with_the_same_octets_and_one_attest_key(world: World) -> None:
    world.service.script("enrol", httpx.ReadTimeout("lost"), httpx.ConnectError("lost"))
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            world.start().get("/api/me")
    assert world.start().get("/api/me").status_code == 200
    assert len(set(world.service.bodies)) == 1
    assert world.phone.enclave.attest_calls == 1


def test_busy_apple_is_asked_again_with_the_same_key_andclient_data_of(world: World) -> None:
    world.phone.apple_is_busy = 2
    seen = set()
    for _ in range(2):
        with pytest.raises(AttestationUnavailable):
            world.start().enrol()
        pending = world.phone.keychain.enrolment
        assert pending is not None
        seen.add((pending.key, pending.client_data))
    world.start().enrol()
    assert len(seen) == 1
    assert world.service.challenges == 1
    assert client_data_of(world.service.bodies[0]) == next(iter(seen))[1]


def test_lost_renewal_is_repeated_with_the_same_octets(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.script("renew", httpx.ReadTimeout("lost"))
    with pytest.raises(httpx.ReadTimeout):
        client.renew()
    client.renew()
    assert world.service.bodies[-1] == world.service.bodies[-2]


def test_reinstalled_app_notices_the_stale_key_and_attests_a_new_one_under_the_same_sign_key(world: World) -> None:
    world.start().enrol()
    before = world.phone.keychain.attest_key
    world.phone.reinstall()
    world.start().get("/api/me")
    assert world.phone.keychain.attest_key != before
    assert len(world.service.keys) == 1


def test_key_lost_between_renewals_leads_to_a_new_enrolment(world: World) -> None:
    client = world.start()
    client.enrol()
    world.phone.enclave.forget_keys()
    client.renew()
    assert world.service.asked == ["challenge", "enrol", "challenge", "enrol"]


def test_phone_restored_from_a_backup_is_a_new_instance(world: World) -> None:
    world.start().enrol()
    world.phone.restore_onto_new_phone()
    world.start().enrol()
    assert len(world.service.keys) == 2


def test_refused_challenge_costs_one_more_key_and_no_third(world: World) -> None:
    world.service.script("enrol", Refusal("retry_with_challenge"), Refusal("retry_with_challenge"))
    with pytest.raises(Refused):
        world.start().enrol()
    assert world.phone.enclave.attest_calls == 2


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"app": "other"}, "session.app_mismatch"),
        ({"jkt": "A" * 43}, "session.jkt_mismatch"),
        ({"challenge": "other"}, "session.challenge_mismatch"),
    ],
)
def test_session_for_somebody_else_is_not_taken(world: World, claims: dict[str, str], reason: str) -> None:
    world.service.claims = claims
    with pytest.raises(AnswerRefused, match=reason):
        world.start().enrol()
    assert world.phone.keychain.enrolled is None


def test_session_under_a_key_that_is_not_pinned_is_not_taken(world: World) -> None:
    world.service.service_key = FOREIGN_KEY
    with pytest.raises(AnswerRefused, match=r"session\.service_key_not_pinned"):
        world.start().enrol()


def test_refused_session_does_not_spoil_the_enrolment(world: World) -> None:
    world.service.service_key = FOREIGN_KEY
    with pytest.raises(AnswerRefused):
        world.start().enrol()
    world.service.service_key = SERVICE_KEY
    world.start().enrol()
    assert world.phone.enclave.attest_calls == 1


def test_renewal_that_answers_for_another_instance_is_not_taken(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.claims = {"instance": "b3RoZXItMDAwMDAwMDAwMQ"}
    with pytest.raises(AnswerRefused, match="another instance"):
        client.renew()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 1) for name in ("instance", "client_attestation", "session", "next_challenge")),
        *((name, value) for name in ("expires_in", "renew_after") for value in ("1", True, -1, None)),
    ],
)
def test_answer_without_what_it_must_have_is_not_taken(world: World, name: str, value: object) -> None:
    client = world.start()
    client.enrol()
    answer = world.service._issue("renew", lost_renewal(world))
    body = json.loads(answer.content) | {name: value}
    world.service.script("renew", httpx.Response(200, json=body))
    with pytest.raises(AnswerRefused, match=name):
        client.renew()


def test_device_without_an_agree_key_signs_everything_by_hardware(world: World) -> None:
    world.phone.keychain.agree_key = None
    client = world.start()
    client.get("/api/me")
    assert world.service.kinds == [ProofKind.HARDWARE]
    assert not client.clock.trusted
    world.time.now += 240
    client.get("/api/me")
    assert world.service.asked == ["challenge", "enrol", "api", "renew", "api"]


def test_answer_that_is_not_json_is_not_taken(world: World) -> None:
    world.service.script("challenge", httpx.Response(200, content=b"<html>"))
    with pytest.raises(AnswerRefused, match=r"jose\.json_malformed"):
        world.start().enrol()


@pytest.mark.parametrize("action", ["sign_again", "renew", "renew_with_assertion", "fix_clock", "retry_with_challenge"])
def test_safe_request_is_repeated_once(world: World, action: str) -> None:
    client = world.start()
    world.service.script("api", Refusal(action), Refusal(action))
    assert client.get("/api/me").status_code == 401
    assert world.service.asked.count("api") == 2
    assert len(world.service.nonces) == 2


@pytest.mark.parametrize(
    "action", ["sign_again", "renew", "fix_clock", "retry_with_challenge", "back_off", "enrol_again"]
)
def test_unsafe_request_is_never_repeated_by_itself(world: World, action: str) -> None:
    client = world.start()
    client.enrol()
    world.service.script("api", Refusal(action))
    with pytest.raises(OutcomeUnknown) as unknown:
        client.post("/api/orders", json={})
    assert unknown.value.action == action
    assert world.service.asked == ["challenge", "enrol", "api"]


def test_unsafe_request_with_an_idempotency_key_is_repeated_once(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("sign_again"))
    response = client.post("/api/orders", json={}, headers={"idempotency-key": "1"})
    assert response.status_code == 200
    assert world.service.asked.count("api") == 2


def test_sign_again_signs_with_the_hardware_key_that_the_route_may_have_wanted(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("sign_again"))
    client.get("/api/me")
    assert world.service.kinds == [ProofKind.SESSION, ProofKind.HARDWARE]


def _asserted(body: bytes) -> bool:
    return [piece["format"] for piece in json.loads(body)["evidence"]] == ["apple-app-attest-assertion"]


def test_fresh_evidence_is_given_though_none_was_due_and_the_request_repeated_by_hardware(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("renew_with_assertion"))
    assert client.get("/api/me").status_code == 200
    assert world.service.asked == ["challenge", "enrol", "api", "renew", "api"]
    assert world.service.kinds == [ProofKind.SESSION, ProofKind.HARDWARE]
    assert _asserted(world.service.bodies[-1])


def test_hint_for_fresh_evidence_costs_one_assertion_for_each_request(world: World) -> None:
    client = world.start()
    client.enrol()
    for renewals in (1, 2):
        world.service.script("api", *[Refusal("renew_with_assertion")] * 2)
        assert client.get("/api/me").status_code == 401
        assert world.service.asked.count("renew") == renewals
    assert world.phone.enclave.attest_calls == 1


def test_unsafe_request_finds_fresh_evidence_when_its_caller_sends_it_again(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.script("api", Refusal("renew_with_assertion"))
    with pytest.raises(OutcomeUnknown) as unknown:
        client.post("/api/orders", json={})
    assert unknown.value.action == "renew_with_assertion"
    assert world.service.asked == ["challenge", "enrol", "api", "renew"]
    world.service.script("api", Refusal("renew_with_assertion"))
    assert client.post("/api/orders", json={}, headers={"idempotency-key": "1"}).status_code == 200


def test_renewal_begun_before_is_no_fresh_evidence(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.script("renew", httpx.ReadTimeout("lost"))
    with pytest.raises(httpx.ReadTimeout):
        client.renew()
    world.service.script("api", Refusal("renew_with_assertion"))
    assert client.get("/api/me").status_code == 200
    assert client_data_of(world.service.bodies[-1]) == client_data_of(world.service.bodies[-2])
    assert world.service.bodies[-1] != world.service.bodies[-2]


def test_back_off_waits_as_long_as_it_is_told_within_bounds(world: World) -> None:
    client = world.start()
    answers = [Refusal("back_off", 429, after) for after in ("7", "0", "86400")]
    world.service.script("api", *answers)
    assert client.get("/api/me").status_code == 200
    assert world.time.slept == [7.0, 1.0, 60.0]


def test_back_off_ends_after_three_waits(world: World) -> None:
    client = world.start()
    world.service.script("api", *[Refusal("back_off", 503)] * 5)
    assert client.get("/api/me").status_code == 503
    assert world.service.asked.count("api") == 4


@pytest.mark.parametrize("retry_after", ["-1", "nan", "1e9", "Sun, 01 Nov 2026 12:04:00 GMT", "99999999999"])
def test_retry_after_that_is_no_number_of_seconds_waits_one(world: World, retry_after: str) -> None:
    client = world.start()
    world.service.script("api", Refusal("back_off", 503, retry_after))
    client.get("/api/me")
    assert world.time.slept == [1.0]


def test_enrolment_waits_for_the_governor(world: World) -> None:
    world.service.script("challenge", Refusal("back_off", 429, "5"), Refusal("back_off", 429, "9"))
    world.start().get("/api/me")
    assert world.time.slept == [5.0, 9.0]
    assert world.phone.enclave.attest_calls == 1


def test_enrol_again_is_followed_once_a_day(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("enrol_again"))
    assert client.get("/api/me").status_code == 200
    assert world.phone.enclave.attest_calls == 2
    world.service.script("api", Refusal("enrol_again"))
    assert client.get("/api/me").status_code == 401
    world.service.lifetime = world.service.renew_after = 3600
    world.time.now += 24 * 3600
    world.service.script("api", Refusal("enrol_again"))
    assert client.get("/api/me").status_code == 200
    assert world.phone.enclave.attest_calls == 3


def test_enrol_again_bound_outlives_the_process(world: World) -> None:
    world.service.script("api", Refusal("enrol_again"))
    assert world.start().get("/api/me").status_code == 200
    world.service.script("api", Refusal("enrol_again"))
    assert world.start().get("/api/me").status_code == 401
    assert world.phone.enclave.attest_calls == 2


def test_renewal_refused_with_enrol_again_enrols_within_the_same_bound(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.script("renew", Refusal("enrol_again"))
    client.renew()
    world.service.script("renew", Refusal("enrol_again"))
    with pytest.raises(Refused):
        client.renew()
    assert world.phone.enclave.attest_calls == 2


@pytest.mark.parametrize("action", ["give_up", "update_app"])
def test_refused_request_that_says_stop_is_not_repeated(world: World, action: str) -> None:
    client = world.start()
    world.service.script("api", Refusal(action, 403))
    assert client.get("/api/me").status_code == 403
    assert client.get("/api/me").status_code == 200
    assert world.service.asked.count("api") == 2


@pytest.mark.parametrize("action", ["give_up", "update_app"])
def test_service_that_says_stop_is_not_asked_again_until_the_next_start(world: World, action: str) -> None:
    client = world.start()
    world.service.script("enrol", Refusal(action, 403))
    with pytest.raises(Refused):
        client.get("/api/me")
    with pytest.raises(Stopped):
        client.get("/api/me")
    assert world.service.asked == ["challenge", "enrol"]
    assert world.start().get("/api/me").status_code == 200


def test_hint_on_an_answer_that_is_no_refusal_is_ignored(world: World) -> None:
    client = world.start()
    world.service.script("api", httpx.Response(200, headers={"bonafide-action": "enrol_again"}))
    client.get("/api/me")
    assert world.service.asked == ["challenge", "enrol", "api"]


def test_unknown_hint_is_ignored(world: World) -> None:
    client = world.start()
    world.service.script("api", Refusal("dance"))
    assert client.get("/api/me").status_code == 401
