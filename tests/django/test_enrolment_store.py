"""The store over Django's database keeps every promise of the port, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from django.db import IntegrityError, OperationalError, connections, transaction

from bonafide.django import bans, enrolment_store, signals
from bonafide.django.bans import Act
from bonafide.django.enrolment_store import AsyncDjangoEnrolmentStore, DjangoEnrolmentStore
from bonafide.django.models import AttestKey, AuditEvent, AuditKind, BanScope, EvidenceRecord, Instance, SignKey
from bonafide.ports import InstanceRecord, RegistrationRefusal, RenewalOutcome
from bonafide.testing.enrolment_store import EnrolmentStoreSuite
from bonafide.testing.enrolment_trial import (
    APP,
    ENVIRONMENT,
    NOW,
    RACERS,
    Trial,
    digest,
    instance_id,
    registration,
    reinstalled,
    renewal,
)
from tests.django.databases import explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.ports import Registration
    from tests.django.databases import Database

ACT = Act(reason="sold on a market place", by="anna", at=NOW)


class DjangoTrial(Trial):
    """The store under trial, whose threads give their connections back."""

    @pytest.fixture
    def store(self, database: Database) -> DjangoEnrolmentStore:
        return DjangoEnrolmentStore(clock=lambda: NOW)

    def ban(self, store: DjangoEnrolmentStore, instance: str) -> None:
        bans.ban_instance(instance, ACT)

    def in_a_thread(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            connections.close_all()


class TestDjangoEnrolmentStore(DjangoTrial, EnrolmentStoreSuite):
    """The promises of the port."""


class TestEvidence(DjangoTrial):
    def test_evidence_is_kept_with_its_verdict_until_its_date(self, store: DjangoEnrolmentStore) -> None:
        new = registration("a", tier="warning", warnings=("os_version_too_old",))
        self.register(store, new)
        row = EvidenceRecord.objects.get()
        assert (row.instance_id, row.app, row.environment, row.identity) == (
            new.instance,
            APP,
            ENVIRONMENT,
            new.identity,
        )
        assert (row.format, row.evidence_environment, row.key_id) == (new.format, "production", new.key_id)
        assert (row.evidence, row.evidence_digest) == (b"evidence", new.evidence_digest)
        assert (row.client_data, row.client_data_digest) == (b"{}", digest("{}"))
        assert bytes(row.challenge_digest) == new.challenge_digest
        assert (row.claims, row.tier, row.warnings) == (new.claims, "warning", ["os_version_too_old"])
        assert (row.verified_at, row.retain_until) == (NOW, new.retain_until)

    def test_where_only_digests_are_kept_client_data_goes_with_the_evidence(self, store: DjangoEnrolmentStore) -> None:
        self.register(store, registration("a", evidence=None, retain_until=None))
        row = EvidenceRecord.objects.get()
        assert (row.evidence, row.client_data, row.retain_until) == (None, None, None)
        assert bytes(row.client_data_digest) == digest("{}")

    def test_each_enrolment_of_an_instance_has_its_record(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        self.register(store, reinstalled("a"))
        self.register(store, reinstalled("a"))
        rows = EvidenceRecord.objects.order_by("pk")
        assert [(row.instance_id, row.key_id) for row in rows] == [
            (record.instance, "key of a"),
            (record.instance, "key of b"),
        ]


class TestSuperseding(DjangoTrial):
    def test_a_superseded_key_is_kept_and_audited(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        later = NOW + timedelta(days=1)
        heard: list[dict[str, Any]] = []

        def listen(**arguments: Any) -> None:
            heard.append(arguments)

        signals.attest_key_superseded.connect(listen)
        try:
            self.register(store, replace(reinstalled("a"), verified_at=later))
        finally:
            signals.attest_key_superseded.disconnect(listen)
        keys = AttestKey.objects.order_by("key_id").values_list("key_id", "instance", "superseded_at")
        assert list(keys) == [("key of a", record.instance, later), ("key of b", record.instance, None)]
        event = AuditEvent.objects.get()
        assert (event.kind, event.subject, event.actor) == (AuditKind.KEY_SUPERSEDED, record.instance, "bonafide")
        assert (event.at, event.app, event.environment) == (later, APP, ENVIRONMENT)
        assert event.detail == {"key_id": "key of a", "by": "key of b", "format": "apple-app-attest"}
        assert [(one["app"], one["environment"], one["instance"]) for one in heard] == [
            (APP, ENVIRONMENT, record.instance)
        ]

    def test_a_first_enrolment_and_its_repetition_leave_no_audit_record(self, store: DjangoEnrolmentStore) -> None:
        self.enrolled(store)
        self.enrolled(store)
        self.register(store, registration("a", challenge_digest=digest("again")))
        assert not AuditEvent.objects.exists()

    def test_a_first_key_supersedes_nothing(self, store: DjangoEnrolmentStore) -> None:
        self.enrolled(store, key_id=None, attest_key=None, format="none")
        assert isinstance(self.register(store, reinstalled("a")), InstanceRecord)
        assert not AuditEvent.objects.exists()

    def test_when_it_enrolled_first_survives_a_reinstall(self, store: DjangoEnrolmentStore) -> None:
        self.enrolled(store)
        self.register(store, replace(reinstalled("a"), verified_at=NOW + timedelta(days=1)))
        row = Instance.objects.get()
        assert (row.enrolled_at, row.verified_at) == (NOW, NOW + timedelta(days=1))

    def test_an_instance_id_that_is_taken_stores_nothing(self, store: DjangoEnrolmentStore) -> None:
        first = self.enrolled(store)
        with pytest.raises(IntegrityError):
            self.register(store, registration("b", instance=first.instance))
        assert self.found(store, first.instance) == first
        assert AttestKey.objects.count() == 1

    def test_the_enrolment_of_an_instance_that_was_erased_is_not_answered(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        for model in (AttestKey, SignKey, Instance):
            model._default_manager.all().delete()
        assert self.register(store, registration("a")) is RegistrationRefusal.SUPERSEDED
        assert isinstance(self.register(store, registration("a", challenge_digest=digest("new"))), InstanceRecord)
        assert self.found(store, record.instance) == record


class TestBans(DjangoTrial):
    def test_a_ban_that_ran_out_refuses_nobody(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        bans.ban_instance(record.instance, replace(ACT, at=NOW - timedelta(days=1), until=NOW))
        assert not self.found(store, record.instance).banned
        assert isinstance(self.register(store, registration("a")), InstanceRecord)
        assert isinstance(self.register(store, reinstalled("a")), InstanceRecord)
        assert store.renew(renewal(record, 1, key_id=None, counter=None)) is RenewalOutcome.DONE

    @pytest.mark.parametrize(
        ("scope", "subject"), [(BanScope.JKT, registration("a").jkt), (BanScope.KEY_ID, registration("a").key_id)]
    )
    def test_a_key_that_is_banned_by_itself_neither_enrols_nor_renews(
        self, store: DjangoEnrolmentStore, scope: BanScope, subject: str
    ) -> None:
        record = self.enrolled(store)
        bans.ban_key(scope, subject, app=APP, environment=ENVIRONMENT, act=ACT)
        assert self.found(store, record.instance).banned
        assert store.renew(renewal(record, 1)) is RenewalOutcome.BANNED
        again = registration("a", challenge_digest=digest("again"))
        assert self.register(store, again) is RegistrationRefusal.BANNED

    def test_a_ban_holds_in_its_app_and_environment_only(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        for app, environment in (("other", ENVIRONMENT), (APP, "production")):
            bans.ban_key(BanScope.JKT, record.jkt, app=app, environment=environment, act=ACT)  # type: ignore[arg-type]  # the text is the environment
        assert not self.found(store, record.instance).banned
        assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE

    def test_the_scope_of_a_ban_says_what_its_subject_is(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        bans.ban_key(BanScope.KEY_ID, record.jkt, app=APP, environment=ENVIRONMENT, act=ACT)
        assert not self.found(store, record.instance).banned

    def test_an_enrolment_that_races_a_ban_is_banned_from_its_next_step(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        rivals = [registration(f"rival {n}", jkt=record.jkt) for n in range(RACERS - 1)]
        for rival in rivals:
            self.spend(store, rival)
        calls: list[Callable[[], object]] = [partial(store.register, new) for new in rivals]
        calls.append(partial(self.ban, store, record.instance))
        self.race(calls)
        found = self.found(store, record.instance)
        assert found.banned
        assert store.renew(renewal(found, 1)) is RenewalOutcome.BANNED
        for rival in rivals:
            heir = replace(rival, jkt=registration("heir").jkt, challenge_digest=digest(f"heir of {rival.key_id}"))
            if AttestKey.objects.filter(key_id=rival.key_id).exists():
                assert self.register(store, heir) is RegistrationRefusal.BANNED


class TestTransactions(DjangoTrial):
    def test_nothing_runs_inside_somebody_elses_transaction(
        self, store: DjangoEnrolmentStore, database: Database
    ) -> None:
        record = self.enrolled(store)
        calls: list[Callable[[], object]] = [
            partial(self.spend, store, registration("b")),
            partial(store.fail_challenge, digest("any"), reason="x"),
            partial(store.register, registration("a")),
            partial(store.renew, renewal(record, 1)),
        ]
        for call in calls:
            with transaction.atomic(using=database.alias), pytest.raises(RuntimeError, match="durable"):
                call()

    def test_a_refusal_is_committed_to_nothing(self, store: DjangoEnrolmentStore) -> None:
        first = self.enrolled(store)
        before = _everything()
        taken = registration("b", key_id=first.key_id)
        self.spend(store, taken)
        assert store.register(taken) is RegistrationRefusal.KEY_ID_TAKEN
        assert _everything() == before

    def test_a_renewal_whose_row_changed_before_it_was_read_begins_anew(self) -> None:
        row = Instance(pk="i", challenge_order=0, counter=0)
        row.banned = False  # type: ignore[attr-defined]  # the annotation
        record = cast("InstanceRecord", SimpleNamespace(instance="i", key_id=None))
        late = renewal(record, 1, counter=None)
        assert enrolment_store._why_not(row, late) is RenewalOutcome.CHALLENGE_SPENT

    def test_a_renewal_is_one_update_by_the_primary_key(self, store: DjangoEnrolmentStore, database: Database) -> None:
        record = self.enrolled(store)
        with explained(database.alias) as plans:
            assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE
        (plan,) = plans
        assert plan.startswith("UPDATE")
        _assert_indexed(plan, database)

    def test_no_query_of_the_enrolment_path_reads_a_whole_table(
        self, store: DjangoEnrolmentStore, database: Database
    ) -> None:
        record = self.enrolled(store)
        with explained(database.alias) as plans:
            self.register(store, registration("b"))
            self.register(store, reinstalled("a"))
            self.register(store, registration("c", key_id=record.key_id))
            store.fail_challenge(digest("challenge d"), reason="x")
            store.instance(record.instance, app=APP, environment=ENVIRONMENT)
            store.renew(renewal(record, 1, instance=instance_id("nobody")))
            self.ban(store, record.instance)
        assert len(plans) > 20
        for plan in plans:
            _assert_indexed(plan, database)


def _assert_indexed(plan: str, database: Database) -> None:
    if database.vendor == "sqlite":
        assert "SCAN bonafide" not in plan, plan
        assert "SEARCH" in plan, plan
    else:
        assert "Seq Scan" not in plan, plan
        assert "Index" in plan, plan


def _everything() -> dict[str, list[Any]]:
    models = (Instance, AttestKey, EvidenceRecord, AuditEvent)
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def test_the_asynchronous_form_runs_the_same_transactions(database: Database) -> None:
    store = AsyncDjangoEnrolmentStore(DjangoEnrolmentStore(clock=lambda: NOW))
    new, failed = registration("a"), registration("b")

    async def story() -> None:
        for each in (new, failed):
            await store.spend_challenge(each.challenge_digest, body_digest=digest("body"), expires_at=NOW)
        await store.fail_challenge(failed.challenge_digest, reason="app_attest.nonce_mismatch")
        again = await store.spend_challenge(failed.challenge_digest, body_digest=digest("body"), expires_at=NOW)
        assert again.failure == "app_attest.nonce_mismatch"
        record = await store.register(new)
        assert isinstance(record, InstanceRecord)
        assert await store.instance(new.instance, app=APP, environment=ENVIRONMENT) == record
        assert await store.renew(renewal(record, 1)) is RenewalOutcome.DONE
        assert await store.renew(renewal(record, 2, counter=1)) is RenewalOutcome.COUNTER_NOT_INCREASED

    asyncio.run(story())


class TestStricterIsolation(DjangoTrial):
    """A PostgreSQL that was told to be serializable asks to repeat transactions."""

    @pytest.fixture
    def store(self, migrated_postgresql: str, django_db_blocker: Any) -> Any:
        from django.core.management import call_command
        from psycopg import IsolationLevel

        alias = "serializable"
        connections.databases[alias] = connections.databases["postgresql"] | {
            "OPTIONS": {"isolation_level": IsolationLevel.SERIALIZABLE}
        }
        with django_db_blocker.unblock():
            try:
                yield DjangoEnrolmentStore(using=alias, clock=lambda: NOW)
            finally:
                call_command("flush", database=alias, verbosity=0, interactive=False, inhibit_post_migrate=True)
                connections[alias].close()
                del connections[alias]
                del connections.databases[alias]

    def test_a_race_under_serializable_isolation_has_one_winner_and_no_error(self, store: DjangoEnrolmentStore) -> None:
        record = self.enrolled(store)
        rivals: list[Registration] = [registration(f"rival {n}", jkt=registration("key").jkt) for n in range(3)]
        for rival in rivals:
            self.spend(store, rival)
        answers = self.race([partial(store.register, new) for new in rivals])
        assert len({answer.instance for answer in answers if isinstance(answer, InstanceRecord)}) == 1
        renewals = [partial(store.renew, renewal(record, 1, body_digest=digest(f"{n}"))) for n in range(3)]
        assert self.race(renewals).count(RenewalOutcome.DONE) == 1

    def test_another_error_of_the_database_is_not_repeated(self, store: DjangoEnrolmentStore) -> None:
        tries: list[int] = []

        def fail(using: str) -> None:
            tries.append(1)
            raise OperationalError

        with pytest.raises(OperationalError):
            store._commit(fail)
        assert len(tries) == 1
