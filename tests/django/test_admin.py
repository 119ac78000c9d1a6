"""The console does what an operator must do, tells whose act it was, and shows no key, octet or secret."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.utils import timezone

from bonafide.django import records
from bonafide.django.admin import facts
from bonafide.django.enrolment_store import DjangoEnrolmentStore
from bonafide.django.models import (
    App,
    AuditEvent,
    AuditKind,
    Ban,
    BanScope,
    DebugSecret,
    EvidenceRecord,
    Identity,
    Instance,
    ObservedRoute,
)
from bonafide.django.records import Seen
from bonafide.ports import InstanceRecord
from bonafide.reasons import proof
from bonafide.terms import Environment
from bonafide.testing.enrolment_trial import APP, NOW, digest, registration, reinstalled
from tests.django.databases import explained

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

CONSOLE = "/console/bonafide/"


def enrolled(name: str = "a", **changes: Any) -> InstanceRecord:
    return _register(registration(name, environment=Environment.TEST, **changes))


def _register(new: Any) -> InstanceRecord:
    store = DjangoEnrolmentStore()
    store.spend_challenge(new.challenge_digest, body_digest=digest("body"), expires_at=NOW)
    record = store.register(new)
    assert isinstance(record, InstanceRecord)
    return record


@pytest.fixture
def app() -> App:
    return App.objects.create(name=APP, environment="test")


@pytest.fixture
def viewer(client: Client) -> Client:
    """Somebody who may look at everything and do nothing."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="bonafide", codename__startswith="view_")
    )
    client.force_login(user)
    return client


def act(client: Client, model: str, action: str, *rows: object, **answers: str) -> Any:
    data = {"action": action, "_selected_action": [str(row) for row in rows], **answers}
    return client.post(f"{CONSOLE}{model}/", data)


# Instances ---------------------------------------------------------------------------------------


def test_an_instance_is_found_by_id_key_and_former_key(admin_client: Client) -> None:
    record, other = enrolled(), enrolled("c")
    second = reinstalled("a")
    _register(registration("b", environment=Environment.TEST, jkt=second.jkt))
    for term in (record.instance, record.jkt, "key of a", "key of b"):
        page = admin_client.get(CONSOLE + "instance/", {"q": term}).content.decode()
        assert f">{record.instance}</a>" in page
        assert other.instance not in page
    assert record.instance not in admin_client.get(CONSOLE + "instance/", {"q": record.instance[:10]}).content.decode()


def test_an_instances_page_shows_verdict_and_digests_and_no_octets(admin_client: Client) -> None:
    record = enrolled(warnings=("os_version_too_old",), tier="warning")
    page = admin_client.get(f"{CONSOLE}instance/{record.instance}/change/").content.decode()
    evidence = EvidenceRecord.objects.get()
    for shown in (
        "os_version_too_old",
        "warning",
        record.jkt,
        "key of a",
        digest("evidence").hex(),
        "validation_category",
    ):
        assert shown in page
    new = registration("a")
    assert new.attest_key is not None
    for hidden in (bytes(evidence.evidence or b""), bytes(evidence.client_data or b""), new.attest_key):
        for spelling in (hidden.hex(), base64.b64encode(hidden).decode(), repr(hidden)):
            assert spelling not in page
    assert new.sign_jwk["x"] not in page
    assert "agree x of" not in page


def test_instances_can_be_filtered_by_tier_and_ban(admin_client: Client) -> None:
    good, low = enrolled(), enrolled("b", tier="warning")
    _ban(admin_client, low.instance)
    for query, shown, hidden in (
        ({"tier": "warning"}, low, good),
        ({"tier": "affirming"}, good, low),
        ({"banned": "yes"}, low, good),
        ({"banned": "no"}, good, low),
    ):
        page = admin_client.get(CONSOLE + "instance/", query).content.decode()
        assert f">{shown.instance}</a>" in page
        assert f">{hidden.instance}</a>" not in page


def _ban(client: Client, instance: str, lasts: str = "") -> Any:
    answers = {"confirmed": "yes", "reason": "sold on a market place", "lasts": lasts}
    return act(client, "instance", "ban_selected", instance, **answers)


def test_a_ban_asks_why_before_it_bans(admin_client: Client) -> None:
    record = enrolled()
    page = act(admin_client, "instance", "ban_selected", record.instance)
    assert page.status_code == 200
    assert record.instance in page.content.decode()
    assert not Ban.objects.exists()
    assert (
        act(admin_client, "instance", "ban_selected", record.instance, confirmed="yes", reason=" ").status_code == 200
    )
    assert not Ban.objects.exists()


def test_a_ban_names_reason_actor_and_end_and_bans_the_keys_too(admin_client: Client) -> None:
    record = enrolled()
    before = timezone.now()
    assert _ban(admin_client, record.instance, lasts="7").status_code == 302
    rows = Ban.objects.order_by("pk")
    assert [(row.scope, row.subject) for row in rows] == [
        (BanScope.INSTANCE, record.instance),
        (BanScope.JKT, record.jkt),
        (BanScope.KEY_ID, "key of a"),
    ]
    assert {(row.reason, row.banned_by) for row in rows} == {("sold on a market place", "admin")}
    assert rows[0].until is not None
    assert before + timedelta(days=7) <= rows[0].until <= timezone.now() + timedelta(days=7)
    event = AuditEvent.objects.get()
    assert (event.kind, event.subject, event.actor) == (AuditKind.BANNED, record.instance, "admin")
    page = admin_client.get(f"{CONSOLE}instance/{record.instance}/change/").content.decode()
    assert "sold on a market place" in page


def test_a_ban_is_lifted_with_a_reason(admin_client: Client) -> None:
    record = enrolled()
    _ban(admin_client, record.instance)
    assert act(admin_client, "instance", "lift_selected", record.instance).status_code == 200
    assert Ban.objects.exists()
    act(admin_client, "instance", "lift_selected", record.instance, confirmed="yes", reason="wrong phone")
    assert not Ban.objects.exists()
    assert AuditEvent.objects.get(kind=AuditKind.UNBANNED).detail["reason"] == "wrong phone"


def test_whoever_only_looks_can_neither_ban_nor_lift_nor_change(viewer: Client) -> None:
    record = enrolled()
    page = viewer.get(f"{CONSOLE}instance/{record.instance}/change/").content.decode()
    assert "Ban…" not in page
    _ban(viewer, record.instance)
    assert not Ban.objects.exists()
    assert viewer.post(f"{CONSOLE}instance/{record.instance}/change/", {}).status_code == 403
    assert viewer.get(CONSOLE + "ban/add/").status_code == 403
    assert viewer.get(CONSOLE + "app/add/").status_code == 403


def test_the_page_of_an_instance_offers_its_ban(admin_client: Client) -> None:
    record = enrolled()
    page = admin_client.get(f"{CONSOLE}instance/{record.instance}/change/").content.decode()
    assert 'value="ban_selected"' in page
    assert f'name="_selected_action" value="{record.instance}"' in page


# Bans --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [BanScope.JKT, BanScope.KEY_ID])
def test_a_key_is_banned_by_itself(admin_client: Client, app: App, scope: BanScope) -> None:
    data = {"of": app.pk, "scope": scope, "subject": "some key", "reason": "leaked", "lasts": "1"}
    assert admin_client.post(CONSOLE + "ban/add/", data).status_code == 302
    row = Ban.objects.get()
    assert (row.app, row.environment, row.scope, row.subject, row.instance) == (APP, "test", scope, "some key", "")
    assert (row.reason, row.banned_by) == ("leaked", "admin")
    assert AuditEvent.objects.get().kind == AuditKind.BANNED


def test_an_instance_banned_by_id_brings_its_keys(admin_client: Client, app: App) -> None:
    record = enrolled()
    data = {"of": app.pk, "scope": "instance", "subject": record.instance, "reason": "leaked", "lasts": ""}
    assert admin_client.post(CONSOLE + "ban/add/", data).status_code == 302
    assert Ban.objects.count() == 3


def test_an_instance_that_the_app_does_not_have_is_an_error_of_the_form(admin_client: Client, app: App) -> None:
    record = enrolled(app="other")
    data = {"of": app.pk, "scope": "instance", "subject": record.instance, "reason": "leaked", "lasts": ""}
    page = admin_client.post(CONSOLE + "ban/add/", data)
    assert "no instance of that id" in page.content.decode()
    assert not Ban.objects.exists()


def test_a_standing_ban_is_shown_and_lifted_and_not_edited(admin_client: Client) -> None:
    record = enrolled()
    _ban(admin_client, record.instance)
    row = Ban.objects.get(scope=BanScope.JKT)
    page = admin_client.get(f"{CONSOLE}ban/{row.pk}/change/").content.decode()
    assert "sold on a market place" in page
    assert 'name="_save"' not in page
    act(admin_client, "ban", "lift_selected", row.pk, confirmed="yes", reason="wrong phone")
    assert not Ban.objects.exists()


# Refusals, observed routes, audit ----------------------------------------------------------------


def test_a_refusal_is_found_by_its_record_id_and_explained(admin_client: Client) -> None:
    seen = Seen(method="GET", route="/api/me", enforced=True, app=APP, instance="i" * 22)
    found, other = (records.recorder().refused(seen, proof.REPLAYED, "twice") for _ in range(2))
    records.flush()
    page = admin_client.get(CONSOLE + "refusal/", {"q": found}).content.decode()
    assert f">{found}</a>" in page
    assert other not in page
    for term in ("i" * 22, "proof.replayed"):
        page = admin_client.get(CONSOLE + "refusal/", {"q": term}).content.decode()
        assert found in page
        assert other in page
    page = admin_client.get(f"{CONSOLE}refusal/{found}/change/").content.decode()
    assert proof.REPLAYED.meaning in page
    assert "twice" in page


def test_what_enforcing_would_refuse_is_told_from_what_is_refused(admin_client: Client) -> None:
    recorder = records.recorder()
    recorder.refused(Seen(method="GET", route="/api/observed", enforced=False, app_version="1.2.3"), proof.REPLAYED)
    recorder.refused(Seen(method="GET", route="/api/enforced", enforced=True), proof.REPLAYED)
    recorder.admitted(Seen(method="GET", route="/api/admitted", enforced=True))
    records.flush()
    for verdict, shown in (("would", "observed"), ("refused", "enforced"), ("admitted", "admitted")):
        page = admin_client.get(CONSOLE + "observedroute/", {"verdict": verdict}).content.decode()
        results = re.findall(r"field-route[^>]*>/api/(\w+)", page)
        assert results == [shown]
    page = admin_client.get(CONSOLE + "observedroute/", {"app_version": "1.2.3"}).content.decode()
    assert re.findall(r"field-route[^>]*>/api/(\w+)", page) == ["observed"]
    row = ObservedRoute.objects.get(route="/api/observed")
    assert proof.REPLAYED.remedy in admin_client.get(f"{CONSOLE}observedroute/{row.pk}/change/").content.decode()


def test_the_audit_is_found_by_subject(admin_client: Client) -> None:
    first, second = enrolled(), enrolled("b")
    for record in (first, second):
        _ban(admin_client, record.instance)
    page = admin_client.get(CONSOLE + "auditevent/", {"q": first.instance}).content.decode()
    assert first.instance in page
    assert second.instance not in page
    event = AuditEvent.objects.get(subject=first.instance)
    assert "sold on a market place" in admin_client.get(f"{CONSOLE}auditevent/{event.pk}/change/").content.decode()


def test_a_code_of_another_version_has_no_explanation() -> None:
    assert facts.explain("proof.of_tomorrow") == ""


@pytest.mark.parametrize("model", ["instance", "refusal", "observedroute", "auditevent"])
def test_rows_that_are_facts_can_be_neither_made_nor_erased(admin_client: Client, model: str) -> None:
    assert admin_client.get(f"{CONSOLE}{model}/add/").status_code == 403
    console = admin.site.get_model_admin(apps.get_model("bonafide", model))
    request = admin_client.get(CONSOLE + model + "/").wsgi_request
    assert not console.has_delete_permission(request)
    assert not console.has_change_permission(request)


# Apps and debug secrets --------------------------------------------------------------------------


def test_an_app_is_made_with_its_identities_for_this_environment(admin_client: Client) -> None:
    page = admin_client.get(CONSOLE + "app/add/").content.decode()
    assert re.search(r'<option value="test" selected>', page)
    assert admin_client.post(CONSOLE + "app/add/", _app_form()).status_code == 302
    row = Identity.objects.get()
    assert (row.app.name, row.app.environment, row.name) == (APP, "test", "ABCDE12345.com.example.shop")
    value = row.app.value(audience="https://api.example.com", reattest_after=timedelta(hours=24))
    assert value.identities[0].policy.minimum_app_version == "2.0"


def _app_form(**changes: Any) -> dict[str, Any]:
    return {
        "name": APP,
        "environment": "test",
        "title": "Shop",
        "other_audiences": "[]",
        "identities-TOTAL_FORMS": "1",
        "identities-INITIAL_FORMS": "0",
        "identities-0-name": "ABCDE12345.com.example.shop",
        "identities-0-platform": "ios",
        "identities-0-environments": '["production"]',
        "identities-0-validation_categories": "[4, 2]",
        "identities-0-minimum_app_version": "2.0",
        "identities-0-evidence_max_age": "365 00:00:00",
    } | changes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "two words"}, "two words"),
        ({"other_audiences": '{"not": "a list"}'}, "not a list"),
        ({"other_audiences": "[1]"}, "not a list of texts"),
        ({"identities-0-name": "com.example.shop"}, "TEAMID.com.example.app"),
        ({"identities-0-environments": '["everywhere"]'}, "everywhere"),
        ({"identities-0-validation_categories": '["4"]'}, "not a list of numbers"),
        ({"identities-0-validation_categories": "[99]"}, "99"),
        ({"identities-0-minimum_app_version": "two"}, "minimum version"),
        ({"identities-0-platform": "android"}, "not built yet"),
    ],
)
def test_what_the_core_would_refuse_is_an_error_of_the_form(
    admin_client: Client, change: dict[str, str], words: str
) -> None:
    page = admin_client.post(CONSOLE + "app/add/", _app_form(**change))
    assert page.status_code == 200
    errors = " ".join(re.findall(r"errorlist[^>]*>.*?</ul>", page.content.decode(), re.DOTALL))
    assert words in errors
    assert not App.objects.exists()


def test_an_apps_name_and_environment_do_not_change(admin_client: Client, app: App) -> None:
    form = _app_form(name="other", environment="production", title="New") | {"identities-TOTAL_FORMS": "0"}
    assert admin_client.post(f"{CONSOLE}app/{app.pk}/change/", form).status_code == 302
    app.refresh_from_db()
    assert (app.name, app.environment, app.title) == (APP, "test", "New")


def test_a_debug_secret_is_shown_once_and_kept_nowhere(admin_client: Client, app: App, settings: Any) -> None:
    answer = admin_client.post(CONSOLE + "debugsecret/add/", {"app": app.pk, "name": "ci", "days": "30"})
    found = re.search(r'<code id="secret">([A-Za-z0-9_-]{43})</code>', answer.content.decode())
    assert found is not None
    assert "no-store" in answer["Cache-Control"]
    assert found[1] not in str(answer.cookies)
    row = DebugSecret.objects.get()
    pages = [
        CONSOLE + "debugsecret/",
        f"{CONSOLE}debugsecret/{row.pk}/change/",
        f"{CONSOLE}debugsecret/{row.pk}/history/",
        "/console/",
    ]
    assert all(found[1] not in admin_client.get(page).content.decode() for page in pages)
    with connections["default"].cursor() as cursor:
        for table in connections["default"].introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert found[1] not in str(cursor.fetchall())
    assert (row.created_by, row.revoked_at) == ("admin", None)
    assert AuditEvent.objects.get().kind == AuditKind.DEBUG_SECRET_CREATED


def test_a_debug_secrets_name_is_taken_once_and_its_life_is_bounded(admin_client: Client, app: App) -> None:
    form = {"app": app.pk, "name": "ci", "days": "30"}
    admin_client.post(CONSOLE + "debugsecret/add/", form)
    assert "already exists" in admin_client.post(CONSOLE + "debugsecret/add/", form).content.decode()
    longer = form | {"name": "other", "days": "91"}
    assert "less than or equal to 90" in admin_client.post(CONSOLE + "debugsecret/add/", longer).content.decode()
    assert DebugSecret.objects.count() == 1


def test_a_debug_secret_is_revoked(admin_client: Client, app: App) -> None:
    admin_client.post(CONSOLE + "debugsecret/add/", {"app": app.pk, "name": "ci", "days": "30"})
    row = DebugSecret.objects.get()
    act(admin_client, "debugsecret", "revoke_selected", row.pk)
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert AuditEvent.objects.filter(kind=AuditKind.DEBUG_SECRET_REVOKED, subject="ci", actor="admin").exists()


def test_production_makes_no_debug_secret(admin_client: Client, settings: Any) -> None:
    production = App.objects.create(name=APP, environment="production")
    form = {"app": production.pk, "name": "ci", "days": "30"}
    assert "Select a valid choice" in admin_client.post(CONSOLE + "debugsecret/add/", form).content.decode()
    settings.BONAFIDE = settings.BONAFIDE | {"ENVIRONMENT": "production"}
    assert admin_client.post(CONSOLE + "debugsecret/add/", form).status_code == 403
    assert not DebugSecret.objects.exists()


# Every page --------------------------------------------------------------------------------------


def test_every_model_has_its_page_or_is_inside_anothers() -> None:
    inside = {"Identity", "SignKey", "AttestKey", "EvidenceRecord"}
    machinery = {"SpentChallenge", "GovernorBucket", "Revision", "CredentialBinding", "SealedSecret", "DocumentVersion"}
    pages = {model.__name__ for model in admin.site._registry if model._meta.app_label == "bonafide"}
    models = {model.__name__ for model in apps.get_app_config("bonafide").get_models()}
    assert pages | inside | machinery == models


def test_no_list_or_search_of_instances_and_refusals_reads_the_whole_table(admin_client: Client) -> None:
    enrolled()
    for model in ("instance", "refusal"):
        for query in ({}, {"q": "x" * 22}):
            with explained("default") as plans:
                admin_client.get(f"{CONSOLE}{model}/", query)
            ours = [plan for plan in plans if f'FROM "bonafide_{model}"' in plan and "COUNT(*)" not in plan]
            assert ours
            for plan in ours:
                assert not re.search(rf"SCAN bonafide_{model}(?! USING)", plan), plan


def test_lists_reach_back_so_far_and_no_further(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "MAX_LISTED", 2)
    for name in "abc":
        enrolled(name)
    assert Instance.objects.count() == 3
    assert "2 instances" in admin_client.get(CONSOLE + "instance/").content.decode()
