"""The in-memory store keeps every promise of the port, and its asynchronous form says the same words."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bonafide.ports import InstanceRecord, RegistrationRefusal, RenewalOutcome
from bonafide.testing.enrolment_store import EnrolmentStoreSuite
from bonafide.testing.enrolment_trial import NOW, registration, renewal
from bonafide.testing.memory_enrolment_store import AsyncMemoryEnrolmentStore, MemoryEnrolmentStore


class TestMemoryEnrolmentStore(EnrolmentStoreSuite):
    @pytest.fixture
    def store(self) -> MemoryEnrolmentStore:
        return MemoryEnrolmentStore()

    def ban(self, store: MemoryEnrolmentStore, instance: str) -> None:
        store.ban(instance)

    def test_a_lifted_ban_lets_the_instance_renew(self, store: MemoryEnrolmentStore) -> None:
        record = self.enrolled(store)
        store.ban(record.instance)
        store.lift(record.instance)
        assert store.renew(renewal(record, 1)) is RenewalOutcome.DONE
        assert len(store) == 1


def test_the_asynchronous_form_asks_the_same_store() -> None:
    store = MemoryEnrolmentStore()
    twin = AsyncMemoryEnrolmentStore(store)
    new = registration("a")

    async def story() -> InstanceRecord:
        await twin.spend_challenge(new.challenge_digest, body_digest=b"body", expires_at=NOW + timedelta(days=1))
        record = await twin.register(new)
        assert isinstance(record, InstanceRecord)
        assert await twin.instance(record.instance, app=record.app, environment=record.environment) == record
        assert await twin.renew(renewal(record, 1)) is RenewalOutcome.DONE
        other = registration("b")
        await twin.spend_challenge(other.challenge_digest, body_digest=b"body", expires_at=NOW + timedelta(days=1))
        await twin.fail_challenge(other.challenge_digest, reason="app_attest.nonce_mismatch")
        assert await twin.register(other) is RegistrationRefusal.SUPERSEDED
        return record

    record = asyncio.run(story())
    assert store.instance(record.instance, app=record.app, environment=record.environment) is not None
