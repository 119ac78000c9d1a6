"""The client keeps to PROTOCOL sections 2 to 5: it signs what it sends, and obeys within bounds."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide.errors import MalformedEvidence
from bonafide.http import split_target
from bonafide.terms import ProofKind
from bonafide.testing.client import (
    AnswerRefused,
    AppClient,
    AsyncAppClient,
    Build,
    ForeignAuthority,
    OutcomeUnknown,
    Refused,
    Stopped,
)
from bonafide.testing.device import AttestationUnavailable
from bonafide.testing.iphone import IPhone
from bonafide.testing.signed_request import canonical_target
from tests.testing.scripted_service import API, FOREIGN_KEY, INSTANCE, SERVICE_KEY, Refusal, ScriptedService, Time

BUILD = Build(app="shop", identity="ABCDE12345.com.example.shop")


@dataclass
class World:
    """One phone, one service, one time."""

    time: Time
    service: ScriptedService
    phone: IPhone

    def start(self, **options: Any) -> AppClient:
        """Start the app: a new client on the same phone."""
        return AppClient(
            self.phone,
            api=API,
            service_keys=[SERVICE_KEY.kid],
            clock=self.time.phone,
            sleep=self.time.sleep,
            transport=httpx.MockTransport(self.service.handle),
            **options,
        )


@pytest.fixture
def world() -> World:
    time = Time()
    return World(time, ScriptedService(time), IPhone(BUILD, clock=time.phone))


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
    client_data = json.loads(_client_data(world.service.bodies[-1]))
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


# What enrolment survives


def test_lost_answer_is_repeated_with_the_same_octets_and_one_attest_key(world: World) -> None:
    world.service.script("enrol", httpx.ReadTimeout("lost"), httpx.ConnectError("lost"))
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            world.start().get("/api/me")
    assert world.start().get("/api/me").status_code == 200
    assert len(set(world.service.bodies)) == 1
    assert world.phone.enclave.attest_calls == 1


def test_busy_apple_is_asked_again_with_the_same_key_and_client_data(world: World) -> None:
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
    assert _client_data(world.service.bodies[0]) == next(iter(seen))[1]


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


# What the client does not believe


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
    answer = world.service._issue("renew", _renewal(world))
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


# The clock


def test_wrong_clock_is_corrected_by_date_before_enrolment_and_by_the_session_after(world: World) -> None:
    world.time.phone_is_off_by = -200
    client = world.start()
    client.get("/api/me")
    assert client.clock.trusted
    assert abs(client.clock.now() - world.time.now) <= 1


def test_date_moves_the_clock_by_five_minutes_at_most(world: World) -> None:
    world.time.phone_is_off_by = -1000
    client = world.start()
    client.clock.learn("Sun, 01 Nov 2026 12:00:00 GMT")
    assert client.clock.now() == world.time.phone() + 300


@pytest.mark.parametrize("date", ["soon", "", "Sun, 01 Nov 99999999999999999999 12:00:00 GMT", None])
def test_what_is_no_date_moves_nothing(world: World, date: str | None) -> None:
    client = world.start()
    client.clock.learn(date)
    assert client.clock.now() == world.time.phone()


def test_date_moves_nothing_once_a_session_has_set_the_clock(world: World) -> None:
    client = world.start()
    client.enrol()
    before = client.clock.now()
    client.clock.learn("Sun, 01 Nov 2026 12:04:00 GMT")
    assert client.clock.now() == before


def test_fix_clock_after_a_session_renews_to_be_told_the_time(world: World) -> None:
    client = world.start()
    client.get("/api/me")
    world.service.script("api", Refusal("fix_clock"))
    assert client.get("/api/me").status_code == 200
    assert world.service.asked[-3:] == ["api", "renew", "api"]


# Hints, and their bounds


@pytest.mark.parametrize("action", ["sign_again", "renew", "fix_clock", "retry_with_challenge"])
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


# Where requests go


def test_redirect_on_the_same_authority_is_signed_anew(world: World) -> None:
    client = world.start()
    world.service.script("api", httpx.Response(307, headers={"location": "/api/elsewhere?x=1"}))
    response = client.post("/api/orders", content=b"body")
    assert response.status_code == 200
    first, second = world.service.api_requests
    assert (second.method, second.target) == ("POST", "/api/elsewhere?x=1")
    assert first.headers["signature"] != second.headers["signature"]


def test_see_other_becomes_a_get_without_the_body(world: World) -> None:
    client = world.start()
    world.service.script("api", httpx.Response(303, headers={"location": "/api/orders/1"}))
    client.post("/api/orders", json={})
    follow = world.service.api_requests[1]
    assert (follow.method, "content-type" in follow.headers) == ("GET", False)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/api",
        "http://api.example.com/api",
        "//evil.example/",
        "https://api.example.com:444/",
        "https://a:b@api.example.com/",
    ],
)
def test_redirect_to_another_authority_is_not_followed(world: World, location: str) -> None:
    client = world.start(follow_redirects=True)
    world.service.script("api", httpx.Response(302, headers={"location": location}))
    assert client.get("/api/me", follow_redirects=True).status_code == 302
    assert world.service.asked.count("api") == 1


def test_redirects_end(world: World) -> None:
    client = world.start()
    world.service.script("api", *[httpx.Response(302, headers={"location": "/api/me"})] * 9)
    assert client.get("/api/me").status_code == 302
    assert world.service.asked.count("api") == 6


@pytest.mark.parametrize("url", ["https://evil.example/", "http://api.example.com/", "https://a:b@api.example.com/"])
def test_request_to_another_authority_is_neither_signed_nor_sent(world: World, url: str) -> None:
    with pytest.raises(ForeignAuthority):
        world.start().get(url)
    assert world.service.asked == []


def test_other_authentication_is_refused_instead_of_replacing_ours(world: World) -> None:
    with pytest.raises(TypeError):
        world.start().get("/api/me", auth=("a", "b"))


# Targets


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("/api/me", "/api/me"),
        ("", "/"),
        ("/a?", "/a"),
        ("/%61/b", "/a/b"),
        ("/ü and [x]", "/%C3%BC%20and%20%5Bx%5D"),
        ("/a%c3%bc", "/a%C3%BC"),
        ("/a?q=%c3%bc&r=ü", "/a?q=%c3%bc&r=%C3%BC"),
        ("/a/../b", "/b"),
        ("/user@host:1/(x)!$&'*+,=", "/user@host:1/(x)!$&'*+,="),
    ],
)
def test_urls_are_spelt_in_the_one_admitted_way(world: World, url: str, target: str) -> None:
    client = world.start()
    assert client.get(url).status_code == 200
    assert world.service.api_requests[0].target == target


@pytest.mark.parametrize(
    "url", ["/a%2fb", "/a%2Fb", "/a//b", "/a;b", "/a%3bb", "/a%5cb", "/a%25b", "/a%00b", "/%2e%2e/b"]
)
def test_url_without_an_admitted_spelling_is_not_sent(world: World, url: str) -> None:
    client = world.start()
    client.enrol()
    with pytest.raises(MalformedEvidence, match=r"request\.target_not_canonical"):
        client.get(url)
    assert "api" not in world.service.asked


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
def test_what_is_signed_is_what_httpx_sends(text: str) -> None:
    try:
        url = httpx.URL("https://api.example.com/").join("/" + text)
        target = canonical_target(url)
    except (httpx.InvalidURL, MalformedEvidence):
        return
    split_target(target)
    assert url.copy_with(raw_path=target.encode()).raw_path.decode() == target


# The other colour


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


def _client_data(body: bytes) -> bytes:
    from bonafide.codec import base64url

    return base64url.decode(json.loads(body)["client_data"])


def _renewal(world: World) -> httpx.Request:
    """Have the client send a renewal that is lost, and return it."""
    caught: list[httpx.Request] = []

    def lose(request: httpx.Request) -> httpx.Response:
        caught.append(request)
        message = "lost"
        raise httpx.ReadTimeout(message)

    client = AppClient(
        world.phone,
        api=API,
        service_keys=[SERVICE_KEY.kid],
        clock=world.time.phone,
        transport=httpx.MockTransport(lose),
    )
    with pytest.raises(httpx.ReadTimeout):
        client.renew()
    return caught[0]
