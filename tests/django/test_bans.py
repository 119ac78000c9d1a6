"""A ban holds at once in the store, and within seconds at every gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bonafide.django import bans, revisions, signals
from bonafide.django.bans import Act, Revocations
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import AuditEvent, AuditKind, Ban, BanScope, Revision
from bonafide.errors import Misuse
from bonafide.ports import InstanceRecord
from bonafide.reasons import Reason, misuse
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, NOW, digest, registration, reinstalled

pytestmark = pytest.mark.usefixtures("database")

ACT = Act(reason="sold on a market place", by="anna", at=NOW)
HOUR = timedelta(hours=1)


def enrolled(name: str = "a", **changes: Any) -> InstanceRecord:
    return _register(registration(name, **changes))


def _register(new: Any) -> InstanceRecord:
    store = DjangoEnrolmentStore()
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


def listed(now: Any = NOW, environment: Environment = ENVIRONMENT) -> Revocations:
    return bans.watch(environment, every=timedelta(0), clock=lambda: now).current()


def subjects() -> set[tuple[str, str, str]]:
    return set(Ban.objects.values_list("scope", "subject", "instance"))


# Banning -----------------------------------------------------------------------------------------


def test_an_instance_is_banned_with_its_sign_key_and_every_key_it_held() -> None:
    record = enrolled()
    _register(reinstalled("a"))
    bans.ban_instance(record.instance, ACT)
    assert subjects() == {
        ("instance", record.instance, record.instance),
        ("jkt", record.jkt, record.instance),
        ("key_id", "key of a", record.instance),
        ("key_id", "key of b", record.instance),
    }
    assert {
        (row.app, row.environment, row.reason, row.banned_by, row.banned_at, row.until) for row in Ban.objects.all()
    } == {(APP, ENVIRONMENT, "sold on a market place", "anna", NOW, None)}


def test_an_unknown_instance_cannot_be_banned() -> None:
    assert refused(lambda: bans.ban_instance("nobody", ACT)) is misuse.INSTANCE_UNKNOWN


@pytest.mark.parametrize("change", [{"reason": " "}, {"by": ""}])
def test_nobody_bans_without_saying_who_and_why(change: dict[str, Any]) -> None:
    assert refused(lambda: replace(ACT, **change)) is misuse.BAN_WITHOUT_REASON


@pytest.mark.parametrize("until", [NOW, NOW - HOUR])
def test_a_ban_does_not_end_before_it_begins(until: Any) -> None:
    assert refused(lambda: replace(ACT, until=until)) is misuse.BAN_ALREADY_OVER


def refused(call: Any) -> Reason:
    with pytest.raises(Misuse) as caught:
        call()
    return caught.value.reason


def test_a_longer_ban_replaces_a_shorter_one_and_never_the_reverse() -> None:
    record = enrolled()
    shorter, longer = (
        replace(ACT, at=NOW + HOUR, reason=words, until=NOW + hours * HOUR)
        for words, hours in (("short", 2), ("long", 4))
    )
    for act, reason in (
        (shorter, "short"),
        (longer, "long"),
        (shorter, "long"),
        (ACT, ACT.reason),
        (longer, ACT.reason),
    ):
        bans.ban_instance(record.instance, act)
        assert {row.reason for row in Ban.objects.all()} == {reason}
    assert Ban.objects.count() == 3
    assert set(Ban.objects.values_list("until", "banned_at")) == {(None, NOW)}
    assert AuditEvent.objects.count() == 5


def test_every_act_is_audited_and_told_after_the_commit() -> None:
    record = enrolled()
    heard: list[tuple[str, str, str, str, str]] = []

    def listen(signal: Any, **arguments: Any) -> None:
        name = "banned" if signal is signals.instance_banned else "unbanned"
        heard.append((name, *(arguments[word] for word in ("app", "environment", "scope", "subject"))))

    for signal in (signals.instance_banned, signals.instance_unbanned):
        signal.connect(listen)
    try:
        bans.ban_instance(record.instance, replace(ACT, until=NOW + HOUR))
        bans.lift(Ban.objects.get(scope=BanScope.JKT), replace(ACT, reason="wrong phone", by="berta"))
        bans.ban_key(BanScope.KEY_ID, "k", app=APP, environment=ENVIRONMENT, act=ACT)
    finally:
        for signal in (signals.instance_banned, signals.instance_unbanned):
            signal.disconnect(listen)
    events = AuditEvent.objects.order_by("pk")
    assert [(event.kind, event.subject, event.actor, event.detail) for event in events] == [
        (
            AuditKind.BANNED,
            record.instance,
            "anna",
            {"scope": "instance", "reason": ACT.reason, "until": (NOW + HOUR).isoformat()},
        ),
        (AuditKind.UNBANNED, record.instance, "berta", {"scope": "instance", "reason": "wrong phone", "until": None}),
        (AuditKind.BANNED, "k", "anna", {"scope": "key_id", "reason": ACT.reason, "until": None}),
    ]
    assert {(event.at, event.app, event.environment) for event in events} == {(NOW, APP, ENVIRONMENT)}
    assert heard == [
        ("banned", APP, ENVIRONMENT, "instance", record.instance),
        ("unbanned", APP, ENVIRONMENT, "instance", record.instance),
        ("banned", APP, ENVIRONMENT, "key_id", "k"),
    ]


# Lifting -----------------------------------------------------------------------------------------


def test_lifting_one_row_of_an_instances_ban_lifts_them_all_and_no_others() -> None:
    record, other = enrolled(), enrolled("b")
    for each in (record, other):
        bans.ban_instance(each.instance, ACT)
    bans.lift(Ban.objects.get(scope=BanScope.KEY_ID, instance=record.instance), ACT)
    assert {instance for _, _, instance in subjects()} == {other.instance}


def test_a_key_banned_by_itself_outlives_the_ban_of_its_instance_and_the_reverse() -> None:
    record = enrolled()
    bans.ban_key(BanScope.JKT, record.jkt, app=APP, environment=ENVIRONMENT, act=replace(ACT, until=NOW + HOUR))
    bans.ban_instance(record.instance, ACT)
    bans.lift(Ban.objects.get(scope=BanScope.INSTANCE), ACT)
    assert subjects() == {("jkt", record.jkt, "")}
    bans.ban_instance(record.instance, ACT)
    bans.lift(Ban.objects.get(instance=""), ACT)
    assert len(subjects()) == 3


def test_lifting_a_ban_that_is_gone_changes_and_tells_nothing() -> None:
    record = enrolled()
    bans.ban_instance(record.instance, ACT)
    ban = Ban.objects.get(scope=BanScope.INSTANCE)
    bans.lift(ban, ACT)
    bans.lift(ban, ACT)
    assert AuditEvent.objects.filter(kind=AuditKind.UNBANNED).count() == 1


# The revocation list -----------------------------------------------------------------------------


def test_a_banned_instance_is_on_the_list_of_its_environment() -> None:
    record, other = enrolled(), enrolled("b")
    bans.ban_instance(record.instance, ACT)
    assert listed() == Revocations(frozenset([record.instance]), frozenset())
    assert listed().is_revoked(record.instance, record.jkt)
    assert not listed().is_revoked(other.instance, other.jkt)
    assert listed(environment=Environment.PRODUCTION) == Revocations()


def test_a_banned_key_is_on_the_list_as_what_a_gate_sees_of_it() -> None:
    record = enrolled()
    enrolled("c", app="other", key_id="key of a")
    bans.ban_key(BanScope.JKT, "some key", app=APP, environment=ENVIRONMENT, act=ACT)
    assert listed() == Revocations(frozenset(), frozenset(["some key"]))
    assert listed().is_revoked("any", "some key")
    bans.ban_key(BanScope.KEY_ID, "key of a", app=APP, environment=ENVIRONMENT, act=ACT)
    assert listed() == Revocations(frozenset([record.instance]), frozenset(["some key"]))


def test_a_ban_leaves_the_list_when_nothing_issued_before_it_can_live() -> None:
    bans.ban_key(BanScope.JKT, "some key", app=APP, environment=ENVIRONMENT, act=ACT)
    assert listed(NOW + bans.REVOKED_FOR - timedelta(seconds=1)).jkts
    assert not listed(NOW + bans.REVOKED_FOR).jkts
    assert 2 * timedelta(minutes=60) <= bans.REVOKED_FOR


def test_a_ban_that_ran_out_leaves_the_list_without_anybodys_act() -> None:
    bans.ban_key(BanScope.JKT, "some key", app=APP, environment=ENVIRONMENT, act=replace(ACT, until=NOW + HOUR))
    now = [NOW]
    copy = bans.watch(ENVIRONMENT, every=timedelta(0), clock=lambda: now[0])
    assert copy.current().jkts
    now[0] = NOW + HOUR
    assert not copy.current().jkts


def test_a_gate_that_watches_sees_bans_and_their_end() -> None:
    record = enrolled()
    copy = bans.watch(ENVIRONMENT, every=timedelta(0), clock=lambda: NOW)
    assert not copy.current().instances
    bans.ban_instance(record.instance, ACT)
    assert copy.current().instances == {record.instance}
    bans.lift(Ban.objects.get(scope=BanScope.INSTANCE), ACT)
    assert not copy.current().instances


def test_each_act_raises_the_revision_of_its_environment_once() -> None:
    record = enrolled()
    for act in range(1, 4):
        bans.ban_instance(record.instance, ACT)
        row = Revision.objects.get()
        assert (row.environment, row.topic, row.number) == (ENVIRONMENT, revisions.REVOCATIONS, act)
