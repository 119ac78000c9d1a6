"""What a client of ours asks its service for others, and how that can end. tests/django has the whole way."""

from __future__ import annotations

import json

import httpx
import pytest

from bonafide.codec.jose import parse_jws, verify_es256
from bonafide.testing.authorization_server import prove_possession
from bonafide.testing.client import AnswerRefused, Refused
from tests.gate_world import SIGN
from tests.testing.app_world import World, client_data_of, new_world
from tests.testing.scripted_service import Refusal

AS = "https://as.example.com"


@pytest.fixture
def world() -> World:
    return new_world()


def answers(**said: object) -> httpx.Response:
    return httpx.Response(200, json={"client_attestation": "for.the.as", "next_challenge": "next", **said})


def test_renewal_names_the_audience_and_answers_with_its_token(world: World) -> None:
    client = world.start()
    client.enrol()
    before = world.phone.keychain.enrolled
    assert before is not None
    world.service.script("renew", answers())
    assert client.attest_for(AS) == "for.the.as"
    said = json.loads(client_data_of(world.service.bodies[-1]))
    assert (said["type"], said["aud"], said["challenge"]) == ("renew", AS, before.next_challenge)
    after = world.phone.keychain.enrolled
    assert after is not None
    assert (after.client_attestation, after.next_challenge) == (before.client_attestation, "next")


def test_refusal_leaves_the_device_as_it_was_but_for_the_challenge(world: World) -> None:
    client = world.start()
    client.enrol()
    world.service.script("renew", Refusal("give_up", status=403))
    with pytest.raises(Refused):
        client.attest_for(AS)
    enrolled = world.phone.keychain.enrolled
    assert enrolled is not None
    assert enrolled.next_challenge == ""
    client.renew()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"x"),
        httpx.Response(200, json={}),
        answers(client_attestation=None),
        answers(next_challenge=7),
    ],
)
def test_answer_that_is_none_is_refused(world: World, answer: httpx.Response) -> None:
    client = world.start()
    client.enrol()
    world.service.script("renew", answer)
    with pytest.raises(AnswerRefused):
        client.attest_for(AS)


def test_proof_of_possession_is_the_drafts_and_says_no_more() -> None:
    token = parse_jws(prove_possession(SIGN, audience=AS, identifier="one", issued_at=7, challenge="theirs"))
    assert token.header == {"typ": "oauth-client-attestation-pop+jwt", "alg": "ES256"}
    assert json.loads(verify_es256(token, SIGN.public_key())) == {
        "aud": AS,
        "jti": "one",
        "iat": 7,
        "challenge": "theirs",
    }
    plain = parse_jws(prove_possession(SIGN, audience=AS, identifier="one", issued_at=7))
    assert json.loads(plain.payload).keys() == {"aud", "jti", "iat"}
