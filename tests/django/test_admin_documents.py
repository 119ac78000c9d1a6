"""The console sets values and ends them, tells whose act it was, and never shows one again."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.signals import got_request_exception
from django.test import Client
from django.utils import timezone
from django.views.debug import ExceptionReporter

from bonafide.django import conf
from bonafide.django.documents import deliveries, pins, values
from bonafide.django.documents.pins import PinnedHost
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, AppValue, AuditEvent, AuditKind, Document, Identity, ValueKind
from bonafide.stores.sealing_keys.held_key import HeldSealingKey
from bonafide.terms import Environment, Tier
from tests import canaries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.django_db

CONSOLE = "/console/bonafide/"
ADD = f"{CONSOLE}appvalue/add/"
SECRET = "a-secret-that-no-page-shows-again"
IDENTITY = "ABCDE12345.com.example.shop"
canaries.plant("app secret", SECRET)


@pytest.fixture(autouse=True)
def app(settings: Any, tmp_path: Path) -> App:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    row = App.objects.create(name="shop", environment="test")
    Identity.objects.create(app=row, name=IDENTITY)
    return row


def put(client: Client, **changes: Any) -> Any:
    given = {
        "app_name": App.objects.get(name="shop").pk,
        "kind": "secret",
        "name": "maps",
        "identity": "",
        "tier": "affirming",
        "value": SECRET,
    }
    return client.post(ADD, {**given, **changes})


def pages(client: Client) -> str:
    """Return every page that could show a value."""
    paths = [f"{CONSOLE}appvalue/", ADD, f"{CONSOLE}auditevent/", "/console/"]
    paths += [f"{CONSOLE}appvalue/{row.pk}/change/" for row in AppValue.objects.all()]
    paths += [f"{CONSOLE}appvalue/{row.pk}/history/" for row in AppValue.objects.all()]
    answers = [client.get(path) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    return "".join(answer.content.decode() for answer in answers)


def read(document: Document = Document.SECRETS) -> Any:
    key = KeySources(conf.current()).document_key()
    return values.read(Environment.TEST, "shop", document, identity="", tier=Tier.AFFIRMING, key=key).values


def test_a_secret_is_set_and_never_shown(admin_client: Client) -> None:
    answer = put(admin_client)
    assert answer.status_code == 302
    assert read() == {ValueKind.SECRET: {"maps": SECRET}}
    shown = pages(admin_client) + "".join(f"{value}" for value in admin_client.cookies.values())
    assert "maps" in shown
    assert not canaries.told(shown)
    assert not canaries.told(repr(list(LogEntry.objects.values())))
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor, event.subject) == (AuditKind.VALUE_SET, "admin", "maps")


def test_line_breaks_of_a_form_are_those_of_the_text(admin_client: Client) -> None:
    put(admin_client, value="a\r\nb\r\n ")
    assert read()[ValueKind.SECRET] == {"maps": "a\nb\n "}


def test_configuration_is_set_public_or_sealed(admin_client: Client) -> None:
    assert put(admin_client, kind="public", name="colour", tier="none", value='"blue"').status_code == 302
    assert put(admin_client, kind="sealed", name="limits", value='{"items": 20}').status_code == 302
    assert read(Document.CONFIGURATION) == {
        ValueKind.PUBLIC: {"colour": "blue"},
        ValueKind.SEALED: {"limits": {"items": 20}},
    }
    assert "blue" in pages(admin_client)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "1"},
        {"name": ""},
        {"identity": "X.none"},
        {"tier": "contraindicated"},
        {"kind": "other"},
        {"kind": "public"},
        {"kind": "sealed", "value": f"{SECRET}"},
        {"app_name": "0"},
        {"value": SECRET * 600},
    ],
)
def test_a_form_that_is_refused_sets_nothing_and_does_not_repeat_the_value(
    admin_client: Client, changes: dict[str, str]
) -> None:
    answer = put(admin_client, **changes)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert not canaries.told(answer.content.decode())
    assert not AppValue.objects.exists()
    assert not AuditEvent.objects.exists()


class Broken(Exception):
    """A mistake of the program that nobody foresaw."""


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """Gather what Django would mail to the operators, with every variable of every frame."""
    gathered: list[str] = []

    def look(sender: object, request: Any, **_: Any) -> None:
        del sender
        reporter = ExceptionReporter(request, *sys.exc_info())
        gathered.append(reporter.get_traceback_html() + reporter.get_traceback_text())

    got_request_exception.connect(look)
    yield gathered
    got_request_exception.disconnect(look)


def test_a_report_of_an_error_does_not_show_the_value(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise Broken

    for broken in ((values, "set_value"), (HeldSealingKey, "seal"), (forms.CharField, "clean")):
        with monkeypatch.context() as patch:
            patch.setattr(broken[0], broken[1], fail)
            with pytest.raises(Broken):
                put(admin_client)
    assert len(reports) == 3
    assert all("changeform_view" in report for report in reports)
    assert not canaries.told("".join(reports))


def test_a_value_is_ended_by_whoever_may(admin_client: Client) -> None:
    put(admin_client)
    row = AppValue.objects.get()
    data = {"action": "remove_selected", "_selected_action": [str(row.pk)]}
    answer = admin_client.post(f"{CONSOLE}appvalue/", data, follow=True)
    assert "1 removed" in answer.content.decode()
    assert read()[ValueKind.SECRET] == {}
    assert AppValue.objects.get().ended_by == "admin"


def test_rows_are_neither_changed_nor_deleted(admin_client: Client) -> None:
    put(admin_client)
    row = AppValue.objects.get()
    assert admin_client.post(f"{CONSOLE}appvalue/{row.pk}/change/", {"name": "x", "value": "x"}).status_code == 403
    assert admin_client.post(f"{CONSOLE}appvalue/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert AppValue.objects.get().name == "maps"


def test_who_may_look_alone_sets_and_ends_nothing(client: Client, admin_client: Client) -> None:
    put(admin_client)
    viewer = Client()
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    viewer.force_login(user)
    assert put(viewer, name="other").status_code == 403
    data = {"action": "remove_selected", "_selected_action": [str(AppValue.objects.get().pk)]}
    viewer.post(f"{CONSOLE}appvalue/", data)
    assert AppValue.objects.get().ended_version is None
    assert not canaries.told(pages_of_viewer(viewer))


def pages_of_viewer(viewer: Client) -> str:
    row = AppValue.objects.get()
    return "".join(
        viewer.get(path).content.decode()
        for path in (f"{CONSOLE}appvalue/", f"{CONSOLE}appvalue/{row.pk}/change/", f"{CONSOLE}auditevent/")
    )


def test_deliveries_and_pins_are_shown(admin_client: Client, app: App) -> None:
    now = timezone.now()
    deliveries.count(Environment.TEST, app="shop", instance="i" * 22, document=Document.SECRETS, version=1, now=now)
    host = PinnedHost(
        port=443, served="A" * 43 + "=", subject="CN=x", ends=int(now.timestamp()), spares=("B" * 42 + "A=",)
    )
    pins.publish(app, {"api.example.com": host}, over=0, by="anna", now=now, expires_at=now + timedelta(days=90))
    assert "i" * 22 in admin_client.get(f"{CONSOLE}delivery/").content.decode()
    listed = admin_client.get(f"{CONSOLE}publishedpins/").content.decode()
    assert "The pinned certificate of api.example.com (shop) end" in listed
    row = pins.newest("test", "shop")
    assert row is not None
    assert "CN=x" in admin_client.get(f"{CONSOLE}publishedpins/{row.pk}/change/").content.decode()
    for page in ("delivery", "publishedpins"):
        assert admin_client.get(f"{CONSOLE}{page}/add/").status_code == 403
