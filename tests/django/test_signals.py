"""Signals tell of what is committed, and a receiver cannot undo it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.dispatch import Signal

from bonafide.django import revisions, signals
from bonafide.django.models import App, Identity, Revision

if TYPE_CHECKING:
    from tests.django.databases import Database


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
