"""Claims about what an instance is given: a token that its gates take, a session that only it can open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bonafide import challenge, client_attestation
from bonafide.challenge import ChallengeScope, Purpose
from bonafide.client_attestation import ClientAttestation
from bonafide.codec import base64url, json
from bonafide.codec.jose import parse_jws
from bonafide.codec.jwk import from_public
from bonafide.enrolment import issue_challenge
from bonafide.errors import VerificationFailed
from bonafide.keys import MAX_TOKEN_LIFETIME, PublishedKey
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import session as session_reasons
from bonafide.session import Session, open_session, session_key
from bonafide.terms import Environment, EvidenceEnvironment, Platform, Tier
from tests.enrolment.world import (
    AUDIENCE,
    CHALLENGE_KEY,
    IDENTITY,
    ISSUER,
    OTHER_AUDIENCE,
    SERVICE_KEY,
    Keys,
    World,
    app,
    under,
)

if TYPE_CHECKING:
    from datetime import datetime

    from bonafide.enrolment import Enrolled
    from bonafide.keys import KeyRing


@pytest.fixture
def world() -> World:
    world = World()
    world.clock.advance(microseconds=654_321)
    return world


class _Published:
    """The keys that a gate of the shop holds."""

    def __init__(self, ring: KeyRing, now: datetime, app: str) -> None:
        self._ring, self._now, self._app = ring, now, app

    def find(self, kid: str, now: datetime | None = None) -> PublishedKey | None:
        key = self._ring.find(kid, now or self._now)
        return None if key is None else PublishedKey(app=self._app, key=key)


def _ring(world: World, name: str = "shop") -> KeyRing:
    assert isinstance(world.service.keys, Keys)
    return world.service.keys.ring(name, world.now)


def _taken(world: World, enrolled: Enrolled, *, audience: str = AUDIENCE, name: str = "shop") -> ClientAttestation:
    """Return the client attestation as a gate takes it."""
    keys = _Published(_ring(world, name), world.now, name)
    return client_attestation.verify(
        enrolled.client_attestation, issuer=ISSUER, audience=audience, keys=keys, now=world.now
    )


def _opened(world: World, enrolled: Enrolled, presented: str, *, pinned: str = SERVICE_KEY.kid) -> Session:
    """Return the session as the phone opens it."""
    assert enrolled.session is not None
    keys = world.phone.keychain
    assert keys.agree_key is not None
    return open_session(
        enrolled.session,
        agree_key=keys.agree_key,
        pinned={pinned},
        app="shop",
        instance=enrolled.instance,
        jkt=keys.jkt,
        challenge=presented,
    )


# The body --------------------------------------------------------------------------------------------


def test_the_body_has_the_members_of_the_protocol_page_in_their_order(world: World) -> None:
    enrolled = world.enrolled()
    body = json.parse_object(enrolled.body())
    assert list(body) == [
        "instance",
        "client_attestation",
        "session",
        "expires_in",
        "renew_after",
        "next_challenge",
    ]
    assert body["instance"] == enrolled.instance
    assert body["client_attestation"] == enrolled.client_attestation
    assert body["session"] == enrolled.session
    assert (body["expires_in"], body["renew_after"]) == (300, 240)
    assert body["next_challenge"] == enrolled.next_challenge


def test_an_answer_does_not_show_its_tokens(world: World) -> None:
    enrolled = world.enrolled()
    assert enrolled.client_attestation not in repr(enrolled)
    assert str(enrolled.session) not in repr(enrolled)


def test_an_instance_is_sixteen_random_octets(world: World) -> None:
    assert len(base64url.decode(world.enrolled().instance)) == 16


# The client attestation ------------------------------------------------------------------------------


def test_a_gate_takes_the_client_attestation_for_what_was_proven(world: World) -> None:
    enrolled = world.enrolled()
    now = world.now.replace(microsecond=0)
    claims = _taken(world, enrolled)
    assert claims == ClientAttestation(
        issuer=ISSUER,
        app="shop",
        audience=AUDIENCE,
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
        sign_jwk=world.phone.keychain.sign_jwk,
        instance=enrolled.instance,
        identity=IDENTITY,
        platform=Platform.IOS,
        environment=EvidenceEnvironment.PRODUCTION,
        tier=Tier.AFFIRMING,
        asserted_at=now,
        app_version="2.3.0",
        os_version="27.0",
        warnings=(),
        sid=claims.sid,
        gate_key=_ring(world).gate_key(AUDIENCE, world.now).kid,
    )


def test_each_app_signs_with_its_own_key(world: World) -> None:
    enrolled = world.enrolled()
    with pytest.raises(VerificationFailed) as refused:
        _taken(world, enrolled, name="other")
    assert refused.value.reason is attestation_reasons.KEY_UNKNOWN


def test_the_lifetime_is_the_services(world: World) -> None:
    world.configure(lifetime=timedelta(minutes=60))
    enrolled = world.enrolled()
    claims = _taken(world, enrolled)
    assert claims.expires_at - claims.issued_at == timedelta(minutes=60)
    assert (enrolled.expires_in, enrolled.renew_after) == (3600, 2880)


def test_a_warning_is_told_coarsely_and_lowers_the_tier(world: World) -> None:
    world.configure(apps=(under(minimum_os_version="28"),))
    claims = _taken(world, world.enrolled())
    assert (claims.tier, claims.warnings) == (Tier.WARNING, ("os_version_too_old",))


def test_a_renewal_tells_the_versions_of_today(world: World) -> None:
    enrolled = world.enrolled()
    renewed = world.renew(world.renewal(enrolled, app_version="2.4.0", os_version="27.1"), enrolled.instance)
    claims = _taken(world, renewed)
    assert (claims.app_version, claims.os_version, claims.instance) == ("2.4.0", "27.1", enrolled.instance)


def test_every_answer_has_a_session_id_of_its_own(world: World) -> None:
    message = world.enrolment()
    assert len({_taken(world, world.enrol(message)).sid for _ in range(3)}) == 3


# When evidence was given last -------------------------------------------------------------------------


def test_a_renewal_by_the_key_alone_is_as_old_as_the_evidence_before_it(world: World) -> None:
    enrolled, began = world.enrolled(), world.now.replace(microsecond=0)
    world.clock.advance(minutes=4)
    renewed = world.renew(world.renewal(enrolled, asserted=False), enrolled.instance)
    claims = _taken(world, renewed)
    assert (claims.asserted_at, claims.issued_at) == (began, began + timedelta(minutes=4))


def test_a_renewal_with_an_assertion_is_as_young_as_itself_though_none_was_due(world: World) -> None:
    enrolled = world.enrolled()
    for counter in (1, 2):
        world.clock.advance(seconds=1)
        enrolled = world.renew(world.renewal(enrolled), enrolled.instance)
        assert world.record(enrolled.instance).counter == counter
        assert _taken(world, enrolled).asserted_at == world.now.replace(microsecond=0)


def test_an_assertion_that_is_sent_again_stays_as_old_as_it_is(world: World) -> None:
    enrolled = world.enrolled()
    world.clock.advance(minutes=1)
    message, taken = world.renewal(enrolled), world.now.replace(microsecond=0)
    for _ in range(2):
        assert _taken(world, world.renew(message, enrolled.instance)).asserted_at == taken
        world.clock.advance(seconds=40)


def test_a_device_that_offered_no_evidence_never_gave_any(world: World) -> None:
    world.configure(apps=(under(unattested=True),))
    enrolled = world.enrol(replace(world.enrolment(), evidence=[]))
    assert _taken(world, enrolled).asserted_at.timestamp() == 0


# The session -----------------------------------------------------------------------------------------


def test_only_the_phone_opens_the_session_and_a_gate_derives_its_key(world: World) -> None:
    message = world.enrolment()
    enrolled = world.enrol(message)
    claims, session = _taken(world, enrolled), _opened(world, enrolled, message.challenge)
    assert (session.issued_at, session.expires_at) == (claims.issued_at, claims.expires_at)
    assert base64url.encode(session.sid) == claims.sid
    secret = _ring(world).secret(claims.gate_key, world.now)
    assert secret is not None
    assert session.key == session_key(
        secret, sid=session.sid, app="shop", jkt=world.phone.keychain.jkt, expires=int(claims.expires_at.timestamp())
    )


def test_a_session_answers_one_challenge(world: World) -> None:
    message = world.enrolment()
    enrolled = world.enrol(message)
    renewed = world.renew(world.renewal(enrolled), enrolled.instance)
    assert _opened(world, renewed, enrolled.next_challenge).instance == enrolled.instance
    with pytest.raises(VerificationFailed) as refused:
        _opened(world, renewed, message.challenge)
    assert refused.value.reason is session_reasons.CHALLENGE_MISMATCH


def test_a_session_is_signed_by_the_service_key_and_no_other(world: World) -> None:
    message = world.enrolment()
    enrolled = world.enrol(message)
    with pytest.raises(VerificationFailed) as refused:
        _opened(world, enrolled, message.challenge, pinned=_ring(world).signing_key(world.now).kid)
    assert refused.value.reason is session_reasons.SERVICE_KEY_NOT_PINNED


def test_a_device_without_an_agree_key_gets_no_session(world: World) -> None:
    enrolled = world.enrol(world.enrolment(agree_jwk=None))
    assert enrolled.session is None
    assert json.parse_object(enrolled.body())["session"] is None
    claims = _taken(world, enrolled)
    assert (claims.instance, claims.sid, claims.gate_key) == (enrolled.instance, "", "")


def test_a_session_goes_to_the_agree_key_of_the_enrolment(world: World) -> None:
    enrolled, agree_key = world.enrolled(), world.phone.keychain.agree_key
    assert agree_key is not None
    assert world.record(enrolled.instance).agree_jwk == from_public(agree_key.public_key())


# Other audiences -------------------------------------------------------------------------------------


def test_another_audience_gets_a_token_that_names_no_instance_and_no_session(world: World) -> None:
    enrolled = world.enrolled()
    renewed = world.renew(world.renewal(enrolled, aud=OTHER_AUDIENCE), enrolled.instance)
    assert renewed.session is None
    claims = json.parse_object(parse_jws(renewed.client_attestation).payload)
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "cnf"}
    assert (claims["aud"], claims["sub"], claims["iss"]) == (OTHER_AUDIENCE, "shop", ISSUER)
    assert claims["cnf"] == {"jwk": world.phone.keychain.sign_jwk}
    with pytest.raises(VerificationFailed) as refused:
        _taken(world, renewed, audience=OTHER_AUDIENCE)
    assert refused.value.reason is attestation_reasons.NOT_FOR_GATES


def test_asking_for_the_apps_own_audience_is_asking_for_nothing_else(world: World) -> None:
    enrolled = world.enrolled()
    renewed = world.renew(world.renewal(enrolled, aud=AUDIENCE), enrolled.instance)
    assert _taken(world, renewed).instance == enrolled.instance
    assert _opened(world, renewed, enrolled.next_challenge).instance == enrolled.instance


def test_a_token_for_another_audience_is_followed_by_one_for_the_gates(world: World) -> None:
    enrolled = world.enrolled()
    renewed = world.renew(world.renewal(enrolled, aud=OTHER_AUDIENCE), enrolled.instance)
    again = world.renew(world.renewal(renewed), enrolled.instance)
    assert _taken(world, again).audience == AUDIENCE


# Challenges ------------------------------------------------------------------------------------------


def _scope(purpose: Purpose) -> ChallengeScope:
    return ChallengeScope(service=ISSUER, environment=Environment.TEST, app="shop", purpose=purpose)


@pytest.mark.parametrize(("purpose", "seconds"), [(Purpose.ENROL, 24 * 3600), (Purpose.RENEW, (60 + 10) * 60)])
def test_a_challenge_that_was_asked_for_says_how_long_it_lives(world: World, purpose: Purpose, seconds: int) -> None:
    issued = issue_challenge(world.service, app(), purpose, now=world.now, random=world.random)
    assert json.parse_object(issued.body()) == {
        "attestation_challenge": issued.attestation_challenge,
        "expires_in": seconds,
    }
    verified = challenge.verify(issued.attestation_challenge, CHALLENGE_KEY, scope=_scope(purpose), now=world.now)
    assert verified.expires_at == world.now + timedelta(seconds=seconds)


def test_the_next_challenge_is_for_a_renewal_and_outlives_the_token_by_ten_minutes(world: World) -> None:
    enrolled = world.enrolled()
    verified = challenge.verify(enrolled.next_challenge, CHALLENGE_KEY, scope=_scope(Purpose.RENEW), now=world.now)
    assert verified.expires_at == _taken(world, enrolled).expires_at + timedelta(minutes=10)


def test_the_next_challenge_is_always_later_than_the_one_presented(world: World) -> None:
    enrolled = replace(world.enrolled(), next_challenge=world.challenge(Purpose.RENEW))
    presented = challenge.verify(enrolled.next_challenge, CHALLENGE_KEY, scope=_scope(Purpose.RENEW), now=world.now)
    assert presented.expires_at == world.now + MAX_TOKEN_LIFETIME + challenge.RENEWAL_GRACE
    renewed = world.renew(world.renewal(enrolled), enrolled.instance)
    following = challenge.verify(renewed.next_challenge, CHALLENGE_KEY, scope=_scope(Purpose.RENEW), now=world.now)
    assert following.order == presented.order + 1
