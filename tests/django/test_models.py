"""What the tables themselves refuse, whoever writes them, and what a row says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.models import ProtectedError

from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import (
    App,
    AttestKey,
    Ban,
    BanScope,
    CredentialBinding,
    DebugSecret,
    EvidenceRecord,
    Identity,
    Instance,
    Opening,
    RegisteredGate,
    SealedSecret,
    SignKey,
    SpentChallenge,
)
from bonafide.testing.enrolment_trial import APP, ENVIRONMENT, NOW, digest, registration

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.django.databases import Database

MODELS = [model for model in apps.get_app_config("bonafide").get_models() if not model._meta.proxy]


@pytest.fixture
def instance(database: Database) -> Instance:
    store, new = DjangoEnrolmentStore(), registration("a")
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    store.register(new)
    return Instance.objects.get()


def refused(alias: str, call: Callable[[], object], error: type[Exception] = IntegrityError) -> None:
    with pytest.raises(error), transaction.atomic(using=alias):
        call()


def binding(**changes: Any) -> CredentialBinding:
    fields = {
        "credential": digest("credential"),
        "app": APP,
        "environment": ENVIRONMENT,
        "jkt": "key",
        "kind": "bearer",
        "bound_at": NOW,
        "proven_at": NOW,
    }
    return CredentialBinding(**fields | changes)


def test_an_app_attest_key_is_whole_or_absent(database: Database, instance: Instance) -> None:
    refused(database.alias, lambda: Instance.objects.update(key_id=None))
    refused(database.alias, lambda: Instance.objects.update(attest_key=None))
    Instance.objects.update(key_id=None, attest_key=None)


def test_a_counter_is_not_negative(database: Database, instance: Instance) -> None:
    refused(database.alias, lambda: Instance.objects.update(counter=-1))


def test_a_counter_and_a_challenges_order_have_room(instance: Instance) -> None:
    Instance.objects.update(counter=2**32 - 1, challenge_order=2**62)
    instance.refresh_from_db()
    assert (instance.counter, instance.challenge_order) == (2**32 - 1, 2**62)


@pytest.mark.parametrize("change", [{"app": "other"}, {"environment": "test"}, {"jkt": "other"}, {"key_id": "other"}])
def test_a_key_is_one_instances_per_app_and_environment(
    database: Database, instance: Instance, change: dict[str, str]
) -> None:
    scope = {"app": APP, "environment": ENVIRONMENT, "instance": instance}
    sign = {"jkt": instance.jkt, **scope}
    attest = {"key_id": "key of a", "public_key": b"", "enrolled_at": NOW, **scope}
    refused(database.alias, lambda: SignKey.objects.bulk_create([SignKey(**sign)]))
    refused(database.alias, lambda: AttestKey.objects.bulk_create([AttestKey(**attest)]))
    if "key_id" not in change:
        SignKey.objects.bulk_create([SignKey(**sign | change)])
    if "jkt" not in change:
        AttestKey.objects.bulk_create([AttestKey(**attest | change)])


def test_an_instance_whose_keys_are_remembered_is_not_erased(instance: Instance) -> None:
    with pytest.raises(ProtectedError):
        instance.delete()


def test_a_challenge_is_spent_once(database: Database, instance: Instance) -> None:
    again = SpentChallenge(challenge_digest=registration("a").challenge_digest, body_digest=b"", expires_at=NOW)
    refused(database.alias, lambda: again.save(force_insert=True))


def test_a_credential_is_bound_to_several_keys_and_to_each_once(database: Database) -> None:
    binding().save(force_insert=True)
    refused(database.alias, lambda: binding(kind="session").save(force_insert=True))
    for change in ({"jkt": "other"}, {"app": "other"}, {"environment": "test"}, {"credential": digest("other")}):
        binding(**change).save(force_insert=True)
    assert CredentialBinding.objects.filter(credential=digest("credential")).count() == 4


def test_one_subject_has_one_ban_of_itself_and_one_of_its_instance(database: Database) -> None:
    ban = {"app": APP, "environment": ENVIRONMENT, "scope": BanScope.JKT, "subject": "key", "banned_at": NOW}
    Ban.objects.create(**ban)
    Ban.objects.create(**ban, instance="i" * 22)
    refused(database.alias, lambda: Ban.objects.create(**ban))


def test_names_are_taken_once(database: Database) -> None:
    app = App.objects.create(name=APP, environment="test")
    App.objects.create(name=APP, environment="staging")
    refused(database.alias, lambda: App.objects.create(name=APP, environment="test"))
    Identity.objects.create(app=app, name="ABCDE12345.com.example.shop")
    refused(database.alias, lambda: Identity.objects.create(app=app, name="ABCDE12345.com.example.shop"))
    secret = {"app": app, "name": "ci", "salt": b"", "created_at": NOW, "expires_at": NOW}
    DebugSecret.objects.create(**secret)
    refused(database.alias, lambda: DebugSecret.objects.create(**secret))
    refused(database.alias, app.delete, ProtectedError)


def test_an_identifier_is_compared_whole_and_octet_by_octet(database: Database) -> None:
    names = ["a", "B", "A", "b", "a ", "ä", "_"]
    for name in names:
        App.objects.create(name=name, environment="test")
    assert list(App.objects.order_by("name").values_list("name", flat=True)) == sorted(names, key=str.encode)
    for name in names:
        assert App.objects.get(name=name).name == name


def test_an_identifier_that_does_not_fit_is_refused_on_postgresql(
    migrated_postgresql: str, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock():
        app = App(name="x" * 256, environment="test")
        refused("postgresql", lambda: app.save(using="postgresql"), DatabaseError)
        connections["postgresql"].close()


def test_the_form_of_an_app_refuses_what_the_core_refuses() -> None:
    for app in (App(name="two words"), App(name=APP, audience="two words"), App(name=APP, other_audiences="none")):
        with pytest.raises(ValidationError):
            app.clean()
    App(name=APP).clean()


def test_an_identity_knows_team_and_bundle() -> None:
    identity = Identity(name="ABCDE12345.com.example.shop")
    assert (identity.team_id, identity.bundle_id) == ("ABCDE12345", "com.example.shop")


def test_rows_name_themselves_without_what_they_hide(instance: Instance) -> None:
    assert str(instance) == instance.pk
    assert str(SignKey.objects.get()) == instance.jkt
    assert str(AttestKey.objects.get()) == "key of a"
    assert str(EvidenceRecord.objects.get()) == f"apple-app-attest of {instance.pk}"
    assert str(SpentChallenge.objects.get()) == registration("a").challenge_digest.hex()
    assert str(binding()) == "bearer under key"
    app = App(name=APP, environment="test")
    assert str(app) == "shop (test)"
    assert str(Identity(app=app, name="A.b")) == "A.b"
    assert str(DebugSecret(app=app, name="ci")) == "ci of shop (test)"
    assert str(Ban(scope="jkt", subject="key")) == "jkt key"
    assert str(RegisteredGate(name="gate-1")) == "gate-1"
    assert str(Opening(route="/api/*")) == "/api/*"
    assert str(SealedSecret(name="shop/signing")) == "shop/signing"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_row_of_a_deployment_carries_its_app_and_environment(model: Any) -> None:
    names = {field.name for field in model._meta.local_fields}
    # By way of a row that does, or of no app: a challenge's digest covers both, a bucket's name begins with both.
    otherwise = {
        "App": {"name", "environment"},
        "Identity": {"app"},
        "DebugSecret": {"app"},
        "Revision": {"environment"},
        "SpentChallenge": {"challenge_digest"},
        "GovernorBucket": {"name"},
        "RegisteredGate": {"audience", "environment"},  # a gate serves an API, whichever apps call it
        "Opening": {"environment"},
        "SealedSecret": {"environment"},
    }
    assert names >= otherwise.get(model.__name__, {"app", "environment"})
