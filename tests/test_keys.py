"""Keys begin, sign, retire and go by the time alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import jwt  # noqa: TID251 - the second opinion
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import keys
from bonafide.codec import jwk
from bonafide.errors import Misuse
from bonafide.keys import GateKey, KeyRing, ScheduledKey, ServiceKey, ServiceRing, SigningKey
from bonafide.reasons import jose as jose_reasons
from bonafide.reasons import session as reasons

_NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_MIDNIGHT = datetime(2026, 11, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_OVERLAP = keys.MAX_TOKEN_LIFETIME + keys.CLOCK_ALLOWANCE
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class _Octets:
    """Octets that repeat from run to run, and a count of how often any were asked for."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return (sha256(b"a%d" % self.drawn).digest() + sha256(b"b%d" % self.drawn).digest())[:count]


def _signing(now: datetime, known: tuple[ScheduledKey, ...] = ()) -> tuple[ScheduledKey, ...]:
    return keys.plan_signing_keys(known, now=now, random=_Octets() if not known else _Later())


class _Later(_Octets):
    """Octets other than those of the first plan."""

    count = 1000

    def __init__(self) -> None:
        super().__init__()
        _Later.count += 1000
        self.drawn = _Later.count


def _gate(now: datetime, known: tuple[GateKey, ...] = (), audiences: tuple[str, ...] = ("api",)) -> tuple[GateKey, ...]:
    return keys.plan_gate_keys(known, audiences=audiences, now=now, random=_Octets() if not known else _Later())


def _ring(now: datetime = _NOON) -> KeyRing:
    return KeyRing(signing=_signing(now), gate=_gate(now))


def test_the_times_are_those_that_the_wire_and_the_paper_name() -> None:
    assert timedelta(minutes=60) == keys.MAX_TOKEN_LIFETIME
    assert timedelta(minutes=5) == keys.CLOCK_ALLOWANCE
    assert timedelta(days=30) == keys.SIGNING_PERIOD
    assert timedelta(hours=24) == keys.PUBLISHED_AHEAD


# Values


def test_a_key_is_named_by_its_thumbprint_and_published_under_it() -> None:
    key = SigningKey.of(ec.derive_private_key(7, ec.SECP256R1()))
    assert key.kid == jwk.thumbprint(jwk.from_public(key.private_key.public_key()))
    assert key.public.kid == key.kid
    assert key.public.public_key == key.private_key.public_key()
    assert ServiceKey.of(key.private_key).kid == key.kid


def test_no_secret_is_in_what_a_key_prints() -> None:
    ring = _ring()
    printed = repr(ring) + repr(ServiceRing(key=ServiceKey.of(ring.signing[0].key.private_key), spare="a"))
    assert "private" not in printed
    assert "secret" not in printed
    assert not any(repr(key.secret) in printed or key.secret.hex() in printed for key in ring.gate)


def test_an_app_carries_the_thumbprint_of_the_key_and_of_its_spare() -> None:
    key = ServiceKey.of(ec.derive_private_key(7, ec.SECP256R1()))
    assert ServiceRing(key=key, spare="spare").thumbprints == (key.kid, "spare")


def test_a_jwks_document_holds_public_members_only_and_another_library_reads_it() -> None:
    ring = _ring()
    document = keys.jwks(ring.verification_keys(_NOON))
    assert [set(key) for key in document["keys"]] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}] * 2
    assert {(key["alg"], key["use"]) for key in document["keys"]} == {("ES256", "sig")}
    theirs = jwt.PyJWKSet.from_dict(json.loads(json.dumps(document)))
    ours = {key.kid: key.public_key for key in ring.verification_keys(_NOON)}
    assert {key.key_id: key.key for key in theirs.keys} == ours


# Private keys from random octets


@pytest.mark.parametrize(
    ("number", "scalar"),
    [
        (0, 1),
        (1, 2),
        (_ORDER - 2, _ORDER - 1),
        (_ORDER - 1, 1),
        (_ORDER, 2),
        (2**384 - 1, (2**384 - 1) % (_ORDER - 1) + 1),
    ],
)
def test_a_private_key_is_the_octets_modulo_the_order_less_one_plus_one(number: int, scalar: int) -> None:
    key = keys.private_key_from(number.to_bytes(48, "big"))
    assert key.private_numbers().private_value == scalar
    assert isinstance(key.curve, ec.SECP256R1)


@pytest.mark.parametrize("octets", [0, 32, 47, 49])
def test_a_private_key_of_fewer_or_more_octets_is_the_programs_fault(octets: int) -> None:
    with pytest.raises(Misuse) as refusal:
        keys.private_key_from(bytes(octets))
    assert refusal.value.reason is jose_reasons.KEY_UNFIT


# Signing keys


def test_the_first_plan_signs_at_once_and_publishes_the_next_key() -> None:
    first, following = _signing(_NOON)
    assert first.signs_from == _NOON
    assert following.signs_from == _NOON + keys.SIGNING_PERIOD
    assert first.key.kid != following.key.kid


def test_the_next_key_takes_over_at_its_time_without_any_plan() -> None:
    ring = _ring()
    first, following = (scheduled.key for scheduled in ring.signing)
    turn = ring.signing[1].signs_from
    assert ring.signing_key(turn - _SECOND) is first
    assert ring.signing_key(turn) is following
    assert ring.signing_key(turn + 400 * _DAY) is following


def test_a_clock_set_back_before_the_first_key_still_has_a_signer() -> None:
    ring = _ring()
    assert ring.signing_key(_NOON - _DAY) is ring.signing[0].key


def test_a_ring_without_signing_keys_signs_nothing() -> None:
    with pytest.raises(Misuse) as refusal:
        KeyRing(signing=(), gate=()).signing_key(_NOON)
    assert refusal.value.reason is reasons.KEY_MISSING


def test_nothing_is_due_while_the_next_key_waits() -> None:
    planned = _signing(_NOON)
    before = _NOON + keys.SIGNING_PERIOD - _SECOND
    assert not keys.signing_keys_due(planned, now=before)
    assert _signing(before, planned) is planned


def test_when_the_next_key_takes_over_another_is_published() -> None:
    planned = _signing(_NOON)
    turn = _NOON + keys.SIGNING_PERIOD
    assert keys.signing_keys_due(planned, now=turn)
    rotated = _signing(turn, planned)
    assert rotated[:2] == planned
    assert rotated[2].signs_from == turn + keys.SIGNING_PERIOD


def test_a_retired_key_is_published_until_the_last_token_naming_it_has_expired() -> None:
    turn = _NOON + keys.SIGNING_PERIOD
    planned = _signing(turn, _signing(_NOON))
    ring = KeyRing(signing=planned, gate=())
    retired = planned[0].key.kid
    assert ring.find(retired, turn + keys.MAX_TOKEN_LIFETIME) is not None
    assert ring.find(retired, turn + _OVERLAP - _SECOND) is not None
    assert ring.find(retired, turn + _OVERLAP) is None
    assert retired not in {key.kid for key in ring.verification_keys(turn + _OVERLAP)}
    assert _signing(turn + _OVERLAP - _SECOND, planned) is planned
    assert keys.signing_keys_due(planned, now=turn + _OVERLAP)
    assert _signing(turn + _OVERLAP, planned) == planned[1:]


def test_after_a_long_sleep_the_key_to_come_is_still_published_before_it_signs() -> None:
    planned = _signing(_NOON)
    woken = _NOON + 400 * _DAY
    rotated = _signing(woken, planned)
    assert [scheduled.key.kid for scheduled in rotated[:-1]] == [planned[1].key.kid]
    assert rotated[-1].signs_from == woken + keys.PUBLISHED_AHEAD


def test_an_unknown_key_is_not_found() -> None:
    assert _ring().find("unknown", _NOON) is None


@settings(parent=settings.get_profile("quick"))
@given(st.lists(st.integers(min_value=0, max_value=20 * 24 * 3600), min_size=1, max_size=30))
def test_whenever_plans_are_made_every_token_finds_its_key(steps: list[int]) -> None:
    """Tokens of 60 minutes are issued at each step, and verified by whoever planned last."""
    random, now = _Octets(), _NOON
    planned = keys.plan_signing_keys((), now=now, random=random)
    issued: list[tuple[str, datetime]] = []
    for step in steps:
        now += timedelta(seconds=step)
        published_before = {scheduled.key.kid for scheduled in planned}
        planned = keys.plan_signing_keys(planned, now=now, random=random)
        assert keys.plan_signing_keys(planned, now=now, random=random) is planned
        ring = KeyRing(signing=planned, gate=())
        signer = ring.signing_key(now).kid
        assert signer in published_before, "it was published before it signed"
        issued.append((signer, now + keys.MAX_TOKEN_LIFETIME))
        assert all(ring.find(kid, now) for kid, expiry in issued if now < expiry)
        assert all(earlier.signs_from < later.signs_from for earlier, later in pairwise(planned))
        assert len(planned) <= 3


# Gate keys


def test_every_audience_has_a_key_of_its_own_for_today_and_for_tomorrow() -> None:
    planned = _gate(_NOON, audiences=("api", "web"))
    assert [(key.audience, key.not_before) for key in planned] == [
        ("api", _MIDNIGHT),
        ("api", _MIDNIGHT + _DAY),
        ("web", _MIDNIGHT),
        ("web", _MIDNIGHT + _DAY),
    ]
    assert len({key.kid for key in planned}) == len({key.secret for key in planned}) == 4
    assert {len(key.secret) for key in planned} == {32}


def test_a_days_key_is_erased_when_the_last_token_naming_it_has_expired() -> None:
    today = _gate(_NOON)[0]
    assert today.erase_after == _MIDNIGHT + _DAY + _OVERLAP
    ring = _ring()
    assert ring.secret(today.kid, today.erase_after - _SECOND) == today.secret
    assert ring.secret(today.kid, today.erase_after) is None
    assert keys.gate_keys_due(ring.gate, audiences=(), now=today.erase_after)
    assert not keys.gate_keys_due(ring.gate, audiences=(), now=today.erase_after - _SECOND)
    left = _gate(today.erase_after, ring.gate)
    assert today.kid not in {key.kid for key in left}


def test_at_midnight_tomorrow_s_key_takes_over_and_the_day_after_gets_one() -> None:
    ring = _ring()
    midnight = _MIDNIGHT + _DAY
    assert ring.gate_key("api", midnight - _SECOND) is ring.gate[0]
    assert ring.gate_key("api", midnight) is ring.gate[1]
    assert not keys.gate_keys_due(ring.gate, audiences=("api",), now=midnight - _SECOND)
    assert keys.gate_keys_due(ring.gate, audiences=("api",), now=midnight)
    planned = _gate(midnight, ring.gate)
    assert planned[:2] == ring.gate
    assert [key.not_before for key in planned] == [_MIDNIGHT, midnight, midnight + _DAY]


def test_the_day_is_that_of_utc_whatever_zone_the_time_is_in() -> None:
    elsewhere = datetime.fromisoformat("2026-11-02T03:00:00+09:00")  # 18:00 of the day before, in UTC
    assert _ring().gate_key("api", elsewhere).not_before == _MIDNIGHT


@pytest.mark.parametrize(("audience", "later"), [("web", timedelta(0)), ("api", 2 * _DAY), ("api", -_DAY)])
def test_an_audience_or_a_day_without_key_is_the_programs_fault(audience: str, later: timedelta) -> None:
    with pytest.raises(Misuse) as refusal:
        _ring().gate_key(audience, _NOON + later)
    assert refusal.value.reason is reasons.KEY_MISSING


def test_the_key_of_a_dropped_audience_stays_until_its_tokens_have_expired() -> None:
    planned = _gate(_NOON, audiences=("api", "web"))
    kept = _gate(_NOON, planned, audiences=("api",))
    assert kept is planned
    later = _MIDNIGHT + 2 * _DAY + _OVERLAP
    assert {key.audience for key in _gate(later, planned, audiences=("api",))} == {"api"}


def test_a_ring_serves_what_it_has_keys_for() -> None:
    ring = _ring()
    assert ring.serves(["api"], _NOON)
    assert ring.serves([], _NOON + 9 * _DAY)
    assert not ring.serves(["api", "web"], _NOON)
    assert not ring.serves(["api"], _NOON + 2 * _DAY)
    assert not KeyRing(signing=(), gate=ring.gate).serves(["api"], _NOON)


def test_an_unknown_gate_key_has_no_secret() -> None:
    assert _ring().secret("unknown", _NOON) is None


@settings(parent=settings.get_profile("quick"))
@given(st.lists(st.integers(min_value=0, max_value=2 * 24 * 3600), min_size=1, max_size=40))
def test_whenever_plans_are_made_every_session_finds_its_gate_key(steps: list[int]) -> None:
    random, now = _Octets(), _NOON
    planned = keys.plan_gate_keys((), audiences=["api"], now=now, random=random)
    issued: list[tuple[GateKey, datetime]] = []
    for step in steps:
        now += timedelta(seconds=step)
        planned = keys.plan_gate_keys(planned, audiences=["api"], now=now, random=random)
        assert keys.plan_gate_keys(planned, audiences=["api"], now=now, random=random) is planned
        ring = KeyRing(signing=(), gate=planned)
        issued.append((ring.gate_key("api", now), now + keys.MAX_TOKEN_LIFETIME))
        assert all(ring.secret(key.kid, now) == key.secret for key, expiry in issued if now < expiry)
        assert all(now < key.erase_after for key in planned)
        assert len(planned) <= 3
