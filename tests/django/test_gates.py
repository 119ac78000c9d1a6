"""What gates are told is how things stand at each ask, and costs one query where nothing changed."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import OperationalError, connections

from bonafide import provision
from bonafide.codec import jwk
from bonafide.django import bans, conf, gates, openings
from bonafide.django.bans import Act
from bonafide.django.gates import Provisions
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, AuditEvent, AuditKind, Ban, BanScope, Identity, RegisteredGate
from bonafide.errors import Misuse, VerificationFailed
from bonafide.reasons import misuse
from bonafide.reasons import provision as reasons
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import NOW
from tests.canaries import plant

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bonafide.provision import Answer
    from tests.django.databases import Database

pytestmark = pytest.mark.usefixtures("database")

AUDIENCE = "https://api.example.com"
ELSEWHERE = "https://partners.example.com"
KEY = ec.generate_private_key(ec.SECP256R1())
SECOND = timedelta(seconds=1)


class World:
    """A service, and a gate that asks it."""

    def __init__(self) -> None:
        self.settings = conf.current()
        self.keys = KeySources(self.settings)
        self.moment = 0.0
        self.provisions = Provisions(self.settings, self.keys, monotonic=lambda: self.moment)

    def ask(self, *, now: datetime = NOW, gate: str = "gate-1", key: Any = KEY, have: str = "") -> Answer:
        token, ask_id = self.token(now=now, gate=gate, key=key, have=have)
        answer = self.provisions.answer(provision.parse_ask(token), now)
        return provision.open_answer(
            answer,
            key=key,
            pinned=self.keys.service_ring().thumbprints,
            gate=gate,
            environment=self.settings.environment,
            audience=RegisteredGate.objects.get(name=gate).audience,
            ask_id=ask_id,
        )

    def token(self, *, now: datetime = NOW, gate: str = "gate-1", key: Any = KEY, have: str = "") -> tuple[str, str]:
        return provision.issue_ask(
            gate=gate,
            key=key,
            issuer=self.settings.issuer,
            environment=self.settings.environment,
            have=have,
            now=now,
            random=os.urandom,
        )

    def refused(self, **options: Any) -> Any:
        with pytest.raises(VerificationFailed) as refusal:
            self.ask(**options)
        return refusal.value.reason


@pytest.fixture
def world(database: Database, settings: Any, tmp_path: Path) -> World:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    app = App.objects.create(name="shop", environment=Environment.TEST)
    Identity.objects.create(app=app, name="ABCDE12345.com.example.shop")
    register()
    return World()


def register(name: str = "gate-1", *, key: Any = KEY, audience: str = AUDIENCE) -> None:
    public = jwk.from_public(key.public_key())
    gates.register(name, public, audience=audience, environment=Environment.TEST, by="anna", now=NOW)


def misused(call: Any) -> tuple[Any, str]:
    with pytest.raises(Misuse) as refusal:
        call()
    return refusal.value.reason, refusal.value.detail


# What a gate is told ----------------------------------------------------------------------------------


def test_a_gate_is_told_keys_bans_openings_and_the_ramp(world: World) -> None:
    state = world.ask().state
    assert state is not None
    ring = world.keys.ring("shop", NOW)
    assert {(key.app, key.key.kid) for key in state.keys} == {("shop", key.key.kid) for key in ring.signing}
    assert {key.kid: key.secret for key in state.gate_keys} == {key.kid: key.secret for key in ring.gate}
    assert len(state.ramp_key) == 32
    assert not state.revoked_instances
    assert not state.openings
    for key in state.gate_keys:
        plant("a gate key", key.secret)


def test_what_did_not_change_is_left_out(world: World) -> None:
    first = world.ask()
    again = world.ask(have=first.tag, now=NOW + SECOND)
    assert (again.state, again.tag) == (None, first.tag)


def test_a_ban_is_in_the_very_next_answer_and_gone_from_the_one_after_it_is_lifted(world: World) -> None:
    tag = world.ask().tag
    act = Act(reason="sold", by="anna", at=NOW)
    bans.ban_key(BanScope.JKT, "j" * 43, app="shop", environment=Environment.TEST, act=act)
    banned = world.ask(have=tag)
    assert banned.state is not None
    assert banned.state.revoked_jkts == {"j" * 43}
    bans.lift(Ban.objects.get(), act)
    lifted = world.ask(have=banned.tag)
    assert lifted.tag == tag
    assert lifted.state is not None
    assert not lifted.state.revoked_jkts


def test_a_ban_that_runs_out_is_gone_though_nobody_acted(world: World) -> None:
    act = Act(reason="sold", by="anna", at=NOW, until=NOW + timedelta(minutes=1))
    bans.ban_key(BanScope.JKT, "j" * 43, app="shop", environment=Environment.TEST, act=act)
    banned = world.ask()
    assert banned.state is not None
    assert banned.state.revoked_jkts
    over = world.ask(have=banned.tag, now=NOW + timedelta(minutes=1))
    assert over.state is not None
    assert not over.state.revoked_jkts


def test_an_opening_is_told_and_ends_by_itself(world: World) -> None:
    tag = world.ask().tag
    openings.break_glass(
        "/api/**",
        length=timedelta(minutes=30),
        because="Apple is away",
        by="anna",
        settings=world.settings,
        service_key=world.keys.service_key(NOW),
        now=NOW,
    )
    opened = world.ask(have=tag)
    assert opened.state is not None
    assert len(opened.state.openings) == 1
    over = world.ask(have=opened.tag, now=NOW + timedelta(minutes=30))
    assert over.state is not None
    assert not over.state.openings


def test_a_new_app_is_told(world: World) -> None:
    tag = world.ask().tag
    app = App.objects.create(name="another", environment=Environment.TEST)
    Identity.objects.create(app=app, name="ABCDE12345.com.example.another")
    state = world.ask(have=tag).state
    assert state is not None
    assert {key.app for key in state.keys} == {"shop", "another"}


def test_keys_that_rotate_are_told_though_no_row_changed(world: World) -> None:
    first = world.ask()
    later = NOW + timedelta(days=1)
    second = world.ask(have=first.tag, now=later)
    assert first.state is not None
    assert second.state is not None
    assert {key.kid for key in second.state.gate_keys} != {key.kid for key in first.state.gate_keys}


def test_a_gate_is_told_no_key_of_another_audience(world: World) -> None:
    app = App.objects.create(name="partners", environment=Environment.TEST, audience=ELSEWHERE)
    Identity.objects.create(app=app, name="ABCDE12345.com.example.partners")
    register("gate-2", audience=ELSEWHERE)
    here, there = world.ask().state, world.ask(gate="gate-2").state
    assert here is not None
    assert there is not None
    assert {key.app for key in here.keys} == {"shop"}
    assert {key.app for key in there.keys} == {"partners"}
    assert {key.audience for key in here.gate_keys} == {AUDIENCE}
    assert {key.audience for key in there.gate_keys} == {ELSEWHERE}


def test_a_gate_is_told_nothing_of_another_environment(world: World) -> None:
    act = Act(reason="sold", by="anna", at=NOW)
    bans.ban_key(BanScope.JKT, "j" * 43, app="shop", environment=Environment.STAGING, act=act)
    App.objects.create(name="staged", environment=Environment.STAGING)
    state = world.ask().state
    assert state is not None
    assert not state.revoked_jkts
    assert {key.app for key in state.keys} == {"shop"}


def test_an_ask_that_changes_nothing_costs_one_query(world: World, database: Database) -> None:
    tag = world.ask().tag
    asked: list[str] = []

    def count(execute: Any, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return execute(sql, *arguments)

    token, _ = world.token(have=tag)
    with connections[database.alias].execute_wrapper(count):
        world.provisions.answer(provision.parse_ask(token), NOW)
    assert len(asked) == 1


# Who may ask ------------------------------------------------------------------------------------------


def test_a_gate_that_nobody_registered_is_told_nothing(world: World) -> None:
    assert world.refused(gate="gate-9") is reasons.GATE_UNKNOWN


def test_a_retired_gate_is_told_nothing_from_its_next_ask_on(world: World) -> None:
    world.ask()
    gates.retire("gate-1", environment=Environment.TEST, by="anna", now=NOW)
    assert world.refused() is reasons.GATE_UNKNOWN


def test_a_gate_of_another_environment_is_told_nothing(world: World) -> None:
    public = jwk.from_public(KEY.public_key())
    gates.register("gate-3", public, audience=AUDIENCE, environment=Environment.STAGING, by="anna", now=NOW)
    assert world.refused(gate="gate-3") is reasons.GATE_UNKNOWN


def test_another_key_in_a_gates_name_is_told_nothing(world: World) -> None:
    assert world.refused(key=ec.generate_private_key(ec.SECP256R1())) is reasons.ASK_SIGNATURE_INVALID


def test_an_old_ask_is_told_nothing(world: World) -> None:
    token, _ = world.token()
    with pytest.raises(VerificationFailed) as refusal:
        world.provisions.answer(provision.parse_ask(token), NOW + timedelta(seconds=61))
    assert refusal.value.reason is reasons.ASK_STALE


# When a gate was heard of -------------------------------------------------------------------------------


def test_contact_is_written_down_at_most_every_fifteen_seconds(world: World) -> None:
    world.ask()
    assert RegisteredGate.objects.get().last_asked_at == NOW
    world.moment += 14
    world.ask(now=NOW + 14 * SECOND)
    assert RegisteredGate.objects.get().last_asked_at == NOW
    world.moment += 1
    world.ask(now=NOW + 15 * SECOND)
    assert RegisteredGate.objects.get().last_asked_at == NOW + 15 * SECOND


def test_a_ban_goes_out_where_contact_cannot_be_written(
    world: World, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def full(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError
        return execute(sql, *arguments)

    with connections[database.alias].execute_wrapper(full):
        assert world.ask().state is not None
    assert "contact was not written down" in caplog.text


# Registration -------------------------------------------------------------------------------------------


def test_registering_and_retiring_are_audited(world: World) -> None:
    gates.retire("gate-1", environment=Environment.TEST, by="berta", now=NOW)
    events = AuditEvent.objects.order_by("pk").values_list("kind", "subject", "actor")
    assert list(events) == [
        (AuditKind.GATE_REGISTERED, "gate-1", "anna"),
        (AuditKind.GATE_RETIRED, "gate-1", "berta"),
    ]
    assert AuditEvent.objects.order_by("pk")[0].detail["key"] == jwk.thumbprint(jwk.from_public(KEY.public_key()))


def test_a_gate_that_asks_keeps_its_key(world: World) -> None:
    assert misused(register) == (misuse.GATE_REFUSED, "gate-1 is registered")


def test_a_retired_gate_may_come_back_with_another_key(world: World) -> None:
    gates.retire("gate-1", environment=Environment.TEST, by="anna", now=NOW)
    another = ec.generate_private_key(ec.SECP256R1())
    register(key=another)
    assert world.ask(key=another).state is not None
    assert world.refused(key=KEY) is reasons.ASK_SIGNATURE_INVALID


@pytest.mark.parametrize("name", ["", "-gate", "a gate", "gate\n", "g" * 65, "gäte"])
def test_a_name_that_a_metric_could_not_show_is_refused(world: World, name: str) -> None:
    assert misused(lambda: register(name))[0] is misuse.GATE_REFUSED


@pytest.mark.parametrize("change", [{"d": "secret"}, {"kid": "1"}, {"crv": "P-384"}, {"x": "AAAA"}, {"y": None}])
def test_a_key_that_is_not_a_public_p256_key_is_refused(world: World, change: dict[str, Any]) -> None:
    key = jwk.from_public(KEY.public_key()) | change
    reason, detail = misused(
        lambda: gates.register("gate-4", key, audience=AUDIENCE, environment=Environment.TEST, by="anna", now=NOW)
    )
    assert reason is misuse.GATE_REFUSED
    assert "secret" not in detail


@pytest.mark.parametrize("name", ["gate-9", "gate-1"])
def test_only_a_registered_gate_is_retired(world: World, name: str) -> None:
    gates.retire("gate-1", environment=Environment.TEST, by="anna", now=NOW)
    again = misused(lambda: gates.retire(name, environment=Environment.TEST, by="anna", now=NOW))
    assert again == (misuse.GATE_NOT_REGISTERED, name)
