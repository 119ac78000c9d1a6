"""Debug secrets let named simulators in, for a while, and never in production."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError

from bonafide.codec import base64url
from bonafide.django import conf, debug_secrets
from bonafide.django.models import App, AuditEvent, AuditKind, DebugSecret
from bonafide.errors import Misuse
from bonafide.reasons import misuse
from bonafide.testing.enrolment_trial import NOW

if TYPE_CHECKING:
    from bonafide.evidence.debug import UnsafeDebugEvidence

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def accepting(settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"UNSAFE_DEBUG_EVIDENCE": True, "REVOCATIONS_EVERY": 0}


@pytest.fixture
def app() -> App:
    return App.objects.create(name="shop", environment="test")


def create(app: App, name: str = "ci", **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "by": "anna",
        "now": NOW,
        "expires_at": NOW + DAY,
        "random": secrets.token_bytes,
    } | changes
    return debug_secrets.create(app, name, **arguments)


def read(now: datetime = NOW) -> UnsafeDebugEvidence | None:
    return debug_secrets.watch(conf.current(), clock=lambda: now).current()


def names(now: datetime = NOW) -> list[str]:
    policy = read(now)
    assert policy is not None
    return [secret.name for secret in policy.secrets]


def test_the_secret_that_was_shown_is_the_one_that_verifies(app: App) -> None:
    shown = create(app)
    policy = read()
    assert policy is not None
    found = policy.find(app="shop", name="ci")
    assert found is not None
    assert base64url.encode(found.secret) == shown
    assert len(found.secret) == 32


def test_a_secret_is_its_own_and_of_its_row(app: App, settings: Any) -> None:
    other = App.objects.create(name="other", environment="test")
    fixed: dict[str, Any] = {"random": lambda octets: b"s" * octets}
    shown = {create(app, **fixed), create(app, "ci2", **fixed), create(other, **fixed)}
    assert len(shown) == 3
    row = DebugSecret.objects.get(app=app, name="ci")
    row.delete()
    assert create(app) not in shown


def test_a_copy_of_the_database_makes_no_evidence(app: App, settings: Any) -> None:
    shown = create(app)
    settings.SECRET_KEY = "another"
    policy = read()
    assert policy is not None
    found = policy.find(app="shop", name="ci")
    assert found is not None
    assert base64url.encode(found.secret) != shown


def test_a_secret_ends_by_itself(app: App) -> None:
    create(app)
    assert names(NOW + DAY - timedelta(seconds=1)) == ["ci"]
    assert names(NOW + DAY) == []
    now = [NOW]
    copy = debug_secrets.watch(conf.current(), clock=lambda: now[0])
    policy = copy.current()
    assert policy is not None
    assert policy.secrets
    now[0] = NOW + DAY
    policy = copy.current()
    assert policy is not None
    assert not policy.secrets


def test_a_revoked_secret_ends_now_and_its_name_stays_taken(app: App) -> None:
    copy = debug_secrets.watch(conf.current(), clock=lambda: NOW)
    create(app)
    policy = copy.current()
    assert policy is not None
    assert policy.secrets
    row = DebugSecret.objects.get()
    debug_secrets.revoke(row, by="berta", now=NOW)
    debug_secrets.revoke(row, by="berta", now=NOW + DAY)
    policy = copy.current()
    assert policy is not None
    assert not policy.secrets
    assert DebugSecret.objects.get().revoked_at == NOW
    with pytest.raises(IntegrityError):
        create(app)


def test_creating_and_revoking_are_audited_once(app: App) -> None:
    create(app)
    row = DebugSecret.objects.get()
    for _ in range(2):
        debug_secrets.revoke(row, by="berta", now=NOW)
    events = AuditEvent.objects.order_by("pk")
    assert [(event.kind, event.subject, event.actor, event.app, event.environment) for event in events] == [
        (AuditKind.DEBUG_SECRET_CREATED, "ci", "anna", "shop", "test"),
        (AuditKind.DEBUG_SECRET_REVOKED, "ci", "berta", "shop", "test"),
    ]


@pytest.mark.parametrize(("expires_in", "made"), [(timedelta(0), False), (90 * DAY, True), (91 * DAY, False)])
def test_a_life_is_bounded(app: App, expires_in: timedelta, made: bool) -> None:
    if made:
        assert create(app, expires_at=NOW + expires_in)
        return
    with pytest.raises(Misuse) as caught:
        create(app, expires_at=NOW + expires_in)
    assert caught.value.reason is misuse.DEBUG_SECRET_REFUSED


def test_there_is_none_in_production(settings: Any) -> None:
    with pytest.raises(Misuse) as caught:
        create(App.objects.create(name="shop", environment="production"))
    assert caught.value.reason is misuse.DEBUG_SECRET_REFUSED
    assert not DebugSecret.objects.exists()


def test_without_the_setting_no_secret_is_read(app: App, settings: Any) -> None:
    create(app)
    settings.BONAFIDE = settings.BONAFIDE | {"UNSAFE_DEBUG_EVIDENCE": False}
    assert read() is None


def test_secrets_of_another_environment_are_not_read(app: App) -> None:
    create(App.objects.create(name="shop", environment="staging"), "staging")
    create(app)
    assert names() == ["ci"]
