"""What is no longer needed is erased, and what still is stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django import bans, retention
from bonafide.django.bans import Act
from bonafide.django.documents import deliveries, values
from bonafide.django.documents.values import NewValue
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import (
    App,
    AppValue,
    AuditEvent,
    Ban,
    BanScope,
    CredentialBinding,
    Document,
    EvidenceRecord,
    GovernorBucket,
    ObservedRoute,
    Refusal,
    SpentChallenge,
    ValueKind,
)
from bonafide.django.retention import Purged
from bonafide.stores.sealing_keys.held_key import HeldSealingKey
from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, NOW, digest, registration
from tests.django.databases import explained

if TYPE_CHECKING:
    from datetime import datetime

    from tests.django.databases import Database

pytestmark = pytest.mark.usefixtures("database")

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def purge(now: datetime = NOW) -> Purged:
    return retention.purge(now, refusal_retention=30 * DAY)


def nothing(**changes: int) -> Purged:
    zeros = dict.fromkeys(Purged.__slots__, 0)
    return Purged(**zeros | changes)


def enrol(name: str, **changes: Any) -> None:
    store, new = DjangoEnrolmentStore(), registration(name, **changes)
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW + 365 * DAY)
    store.register(new)


def test_a_purge_of_nothing_erases_nothing() -> None:
    assert purge() == nothing()


def test_evidence_loses_its_octets_and_keeps_digests_and_verdict() -> None:
    enrol("a", retain_until=NOW)
    enrol("b", retain_until=NOW + timedelta(seconds=1))
    enrol("c", retain_until=None, evidence=None)
    assert purge() == nothing(evidence=1)
    assert purge() == nothing()
    old, new, _ = EvidenceRecord.objects.order_by("pk")
    assert (old.evidence, old.client_data, old.retain_until) == (None, None, None)
    assert (old.evidence_digest, old.client_data_digest, old.tier) == (digest("evidence"), digest("{}"), "affirming")
    assert (new.evidence, new.client_data) == (b"evidence", b"{}")


def test_spent_challenges_outlive_their_expiry_by_an_hour() -> None:
    for age in (HOUR + timedelta(seconds=1), HOUR, timedelta(0)):
        SpentChallenge.objects.create(challenge_digest=digest(f"{age}"), body_digest=b"", expires_at=NOW - age)
    assert purge() == nothing(challenges=1)
    assert SpentChallenge.objects.count() == 2


def test_records_go_after_their_retention() -> None:
    for age in (30 * DAY + timedelta(seconds=1), 30 * DAY):
        Refusal.objects.create(id=f"{age}"[:22], at=NOW - age, environment="test", method="GET", enforced=True)
        at = NOW - age - (DAY if age > 30 * DAY else timedelta(0))
        ObservedRoute.objects.create(
            day=at.date(), environment="test", route="/", method="GET", enforced=True, first_seen=at, last_seen=at
        )
    assert purge() == nothing(refusals=1, observed_routes=1)


def test_bans_and_bindings_that_ran_out_go_and_the_audit_stays() -> None:
    for subject, until in (("over", NOW), ("not yet", NOW + timedelta(seconds=1)), ("never", None)):
        act = Act(reason="leaked", by="anna", at=NOW - DAY, until=until)
        bans.ban_key(BanScope.JKT, subject, app=APP, environment=ENVIRONMENT, act=act)
        CredentialBinding.objects.create(
            credential=digest(subject),
            app=APP,
            environment=ENVIRONMENT,
            jkt=subject,
            kind="bearer",
            bound_at=NOW,
            proven_at=NOW,
            expires_at=until,
        )
    assert purge() == nothing(bans=1, bindings=1)
    assert sorted(Ban.objects.values_list("subject", flat=True)) == ["never", "not yet"]
    assert sorted(CredentialBinding.objects.values_list("jkt", flat=True)) == ["never", "not yet"]
    assert AuditEvent.objects.count() == 3


def test_idle_buckets_go() -> None:
    microseconds = int(NOW.timestamp()) * 1_000_000 + NOW.microsecond
    hour = 3_600_000_000
    GovernorBucket.objects.create(name="idle", due=microseconds - hour - 1)
    GovernorBucket.objects.create(name="busy", due=microseconds - hour)
    assert purge() == nothing(buckets=1)
    assert GovernorBucket.objects.get().name == "busy"


def test_everything_goes_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for name in "abcde":
        enrol(name, retain_until=NOW)
        SpentChallenge.objects.create(challenge_digest=digest(name), body_digest=b"", expires_at=NOW - DAY)
    assert purge() == nothing(evidence=5, challenges=5)


def test_what_is_large_is_purged_by_its_index(database: Database) -> None:
    with explained(database.alias) as plans:
        purge()
    for model in (EvidenceRecord, SpentChallenge, Refusal, CredentialBinding):
        ours = [plan for plan in plans if f'FROM "{model._meta.db_table}"' in plan]
        assert ours
        assert all("SCAN" not in plan and "Seq Scan" not in plan for plan in ours), ours


def test_deliveries_and_octets_of_old_versions_go_with_the_records() -> None:
    app = App.objects.create(name="shop", environment="test")
    key = HeldSealingKey(bytes(32), where="documents.key")
    for number, at in enumerate((NOW - 40 * DAY, NOW - 35 * DAY, NOW - 29 * DAY)):
        new = NewValue(kind=ValueKind.SECRET, name="maps", value=f"{number}")
        values.set_value(app, new, key=key, by="anna", now=at)
        deliveries.count(ENVIRONMENT, app="shop", instance="i", document=Document.SECRETS, version=number, now=at)
    assert purge() == nothing(deliveries=2, old_values=1)
    assert purge() == nothing()
    kept = AppValue.objects.order_by("version").values_list("version", "sealed")
    assert [(version, sealed is None) for version, sealed in kept] == [(1, True), (2, False), (3, False)]
