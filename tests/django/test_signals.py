"""Signals tell of what is committed, and a receiver cannot undo it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections, transaction
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from bonafide.django import conf, revisions, signals
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, Identity, Refusal, Revision
from bonafide.django.records import Recorder, Seen
from bonafide.keys import SIGNING_PERIOD
from bonafide.ports import InstanceRecord, RenewalOutcome
from bonafide.reasons import credential, proof
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, NOW, digest, registration, reinstalled, renewal
from tests.django.hearing import ALL, hearing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.django.databases import Database

WHERE = {"app": APP, "environment": ENVIRONMENT}


class Listener:
    """A signal, and what was heard of it."""

    def __init__(self) -> None:
        self.signal, self.heard = Signal(), []
        self.signal.connect(self.listen)

    heard: list[Any]

    def listen(self, **arguments: Any) -> None:
        self.heard.append(arguments["app"])


def test_a_signal_is_sent_after_the_commit(database: Database) -> None:
    listener = Listener()
    with transaction.atomic(using=database.alias):
        signals.send_after_commit(listener.signal, using=database.alias, app="shop")
        assert not listener.heard
    assert listener.heard == ["shop"]


def test_a_signal_of_what_was_rolled_back_is_not_sent(database: Database) -> None:
    listener = Listener()
    with transaction.atomic(using=database.alias):
        signals.send_after_commit(listener.signal, using=database.alias, app="shop")
        transaction.set_rollback(True, using=database.alias)
    assert not listener.heard


def test_a_receiver_that_fails_is_logged_and_the_others_hear(database: Database, caplog: Any) -> None:
    signal = Signal()

    def fail(**_: Any) -> None:
        raise RuntimeError

    signal.connect(fail)
    listener = Listener()
    signal.connect(listener.listen)
    signals.send_after_commit(signal, using=database.alias, app="shop")
    assert listener.heard == ["shop"]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("django.dispatch", "ERROR")
    assert "fail" in record.message


# What is told -----------------------------------------------------------------------------------


def register(new: Any) -> InstanceRecord:
    store = DjangoEnrolmentStore(clock=lambda: NOW)
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW + timedelta(hours=24))
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


def test_enrolment_and_reinstall_are_told_once_and_a_repeated_answer_is_not(database: Database) -> None:
    first, second = registration("a"), reinstalled("a")
    with hearing() as heard:
        instance = register(first).instance
        register(first)
        register(second)
        register(second)
    enrolled = WHERE | {
        "instance": instance,
        "identity": first.identity,
        "platform": "ios",
        "tier": "affirming",
        "evidence_environment": "production",
    }
    assert heard == [
        ("instance_enrolled", enrolled | {"again": False}),
        ("attest_key_superseded", WHERE | {"instance": instance}),
        ("instance_enrolled", enrolled | {"again": True}),
    ]


def test_enrolment_that_is_refused_is_not_told(database: Database) -> None:
    register(registration("a"))
    taken = replace(registration("b"), key_id="key of a")
    store = DjangoEnrolmentStore(clock=lambda: NOW)
    store.spend_challenge(taken.challenge_digest, body_digest=digest("body"), expires_at=NOW + timedelta(hours=24))
    with hearing() as heard:
        assert not isinstance(store.register(taken), InstanceRecord)
    assert heard == []


@pytest.mark.parametrize(("counter", "asserted"), [(1, True), (None, False)])
def test_renewal_is_told_once_and_its_repetition_is_not(
    database: Database, counter: int | None, asserted: bool
) -> None:
    record = register(registration("a"))
    store, new = DjangoEnrolmentStore(clock=lambda: NOW), renewal(record, 1, counter=counter)
    with hearing() as heard:
        assert [store.renew(new), store.renew(new)] == [RenewalOutcome.DONE] * 2
        assert store.renew(replace(new, body_digest=digest("another"))) is RenewalOutcome.CHALLENGE_SPENT
    told = WHERE | {"instance": record.instance, "tier": "warning", "asserted": asserted}
    assert heard == [("instance_renewed", told)]


def test_renewal_costs_no_query_more_where_nobody_listens(database: Database) -> None:
    record = register(registration("a"))
    store = DjangoEnrolmentStore(clock=lambda: NOW)

    def queries(order: int) -> int:
        with CaptureQueriesContext(connections[database.alias]) as seen:
            assert store.renew(renewal(record, order)) is RenewalOutcome.DONE
        return len(seen)

    silent = queries(1)
    with hearing():
        assert queries(2) == silent + 1
    assert queries(3) == silent


SEEN = Seen(method="GET", route="/api/orders/*", enforced=True, app="shop", app_version="2.3.0", instance="i" * 22)


def refused(recorder: Recorder, seen: Seen = SEEN) -> dict[str, Any]:
    """Refuse, and return what is to be told of it."""
    record = recorder.refused(seen, credential.NOT_BOUND if seen.credential else proof.REPLAYED, "a detail")
    return {
        "app": seen.app,
        "environment": "test",
        "instance": seen.instance,
        "reason": "credential.not_bound" if seen.credential else "proof.replayed",
        "record": record,
        "method": "GET",
        "route": "/api/orders/*",
        "enforced": seen.enforced,
    }


def test_refusal_is_told_once_its_record_can_be_looked_up(database: Database) -> None:
    recorder, found = Recorder(Environment.TEST, every=None), list[int]()

    def look(*, record: str, **_: Any) -> None:
        found.append(Refusal.objects.filter(pk=record).count())

    signals.request_refused.connect(look)
    try:
        with hearing() as heard:
            first, second = refused(recorder), refused(recorder, replace(SEEN, enforced=False, instance=None))
            assert heard == []
            recorder.flush()
            recorder.flush()
    finally:
        signals.request_refused.disconnect(look)
    assert heard == [("request_refused", first), ("request_refused", second)]
    assert found == [1, 1]


def test_refusal_whose_record_is_not_written_is_told_when_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from bonafide.django import records

    def fail(*_: Any) -> None:
        raise OperationalError

    recorder = Recorder(Environment.TEST, every=None)
    with hearing() as heard:
        told = refused(recorder)
        with monkeypatch.context() as patch:
            patch.setattr(records, "_write", fail)
            recorder.flush()
        assert heard == []
        recorder.flush()
    assert heard == [("request_refused", told)]


def test_refused_credential_is_told_with_whose_it_is(database: Database) -> None:
    recorder = Recorder(Environment.TEST, every=None)
    with hearing() as heard:
        told = refused(recorder, replace(SEEN, credential="bearer", user="7"))
        recorder.flush()
    assert heard == [
        ("request_refused", told),
        ("credential_refused", told | {"kind": "bearer", "user": "7"}),
    ]


def test_receiver_that_fails_keeps_no_record_from_being_written_or_told(database: Database) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    recorder = Recorder(Environment.TEST, every=None)
    signals.request_refused.connect(fail)
    try:
        with hearing() as heard:
            told = [("request_refused", refused(recorder)) for _ in range(2)]
            recorder.flush()
    finally:
        signals.request_refused.disconnect(fail)
    assert heard == told
    assert Refusal.objects.count() == 2


def test_keys_are_told_when_they_are_made_follow_and_are_replaced_and_not_when_they_are_read(tmp_path: Path) -> None:
    settings = replace(conf.current(), keys_dir=tmp_path / "keys")
    ours, others = KeySources(settings), KeySources(settings)
    now = datetime.now().astimezone()
    later = now + SIGNING_PERIOD + timedelta(hours=1)

    def told(at: datetime, **more: Any) -> tuple[str, dict[str, Any]]:
        ring = ours.ring("shop", at)
        signs = ring.signing_key(at).kid
        following = {each.key.kid for each in ring.signing if each.signs_from > at}
        return "keys_rotated", {"app": "shop", "environment": "test", "signs": signs, "next": following.pop()} | more

    with hearing() as heard:
        ours.ring("shop", now)
        others.ring("shop", now)
        ours.ring("shop", now)
        first = told(now, compromised=False)
        assert heard == [first]
        made = set(ours.ring("shop", now).gate)
        assert set(ours.ring("shop", now + timedelta(days=2)).gate) != made  # gate keys alone
        assert heard == [first]
        others.ring("shop", later)
        second = told(later, compromised=False)
        assert heard[1:] == [second]
        assert second[1]["signs"] == first[1]["next"]
        ours.replace("shop", later)
        assert heard[2:] == [told(later, compromised=True)]
        assert heard[2][1]["signs"] not in {*first[1].values(), *second[1].values()}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_signal_is_told_somewhere(name: str) -> None:
    from tests.conftest import ROOT

    sources = [path.read_text() for path in (ROOT / "src/bonafide/django").rglob("*.py")]
    sends = re.compile(rf"send_(after_commit|now)\(\s*(signals\.)?{name},|signal = .*signals\.{name}\b")
    assert any(sends.search(text) for text in sources)


def test_every_change_of_an_app_or_identity_raises_the_revision_of_its_environment(database: Database) -> None:
    def number(environment: str = "test") -> int:
        found = Revision.objects.filter(topic=revisions.APPS, environment=environment)
        return found.values_list("number", flat=True).first() or 0

    app = App.objects.create(name="shop", environment="test")
    assert number() == 1
    identity = Identity.objects.create(app=app, name="ABCDE12345.com.example.shop")
    assert number() == 2
    identity.save()
    assert number() == 3
    identity.delete()
    assert number() == 4
    app.delete()
    assert number() == 5
    assert number("production") == 0
