"""The console shows which keys there are and when they end, changes none, and shows no octet of any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from bonafide.django import conf
from bonafide.django.key_sources import KeySources, sealing_key_at
from bonafide.django.models import App, AuditEvent, KeySet, SealedSecret
from tests import canaries

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client

pytestmark = pytest.mark.django_db

CONSOLE = "/console/bonafide/keyset/"


@pytest.fixture(params=["files", "database"])
def app(request: pytest.FixtureRequest, settings: Any, tmp_path: Path, transactional_db: None) -> App:
    place: dict[str, Any] = {"KEYS_DIR": str(tmp_path / "keys")}
    if request.param == "database":
        place |= {"KEY_STORAGE": "database", "SEALING_KEY": {"file": str(tmp_path / "sealing.key")}}
    settings.BONAFIDE = settings.BONAFIDE | place
    if request.param == "database":
        address = conf.current().sealing_key
        assert address is not None
        sealing_key_at(address).make()
    return App.objects.create(name="shop", environment="test", title="The shop")


def page(client: Client, app: App) -> str:
    answer = client.get(f"{CONSOLE}{app.pk}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_every_key_is_shown_with_its_state_and_times(admin_client: Client, app: App) -> None:
    keys, now = KeySources(conf.current()), timezone.now()
    ring, (signs, spare) = keys.ring("shop", now), keys.service_ring().thumbprints
    shown = page(admin_client, app)
    for kid in (signs, spare, *(each.key.kid for each in ring.signing), *(each.kid for each in ring.gate)):
        assert f"<code>{kid}</code>" in shown
    first, second = ring.signing
    assert f"<code>{first.key.kid}</code> signs, begins {first.signs_from:%Y-%m-%d %H:%M}" in shown
    assert f"<code>{second.key.kid}</code> published, begins {second.signs_from:%Y-%m-%d %H:%M}" in shown
    assert f"{first.signs_from:%Y-%m-%d %H:%M}, retires {second.signs_from:%Y-%m-%d %H:%M}, erased" in shown
    assert f"signs for {conf.current().audience}, begins" in shown
    assert "bonafide_keys rotate shop --compromised" in shown


def test_no_octet_of_a_private_key_or_gate_key_is_on_any_page(admin_client: Client, app: App) -> None:
    keys, now = KeySources(conf.current()), timezone.now()
    ring = keys.ring("shop", now)
    secrets = [each.key.private_key for each in ring.signing] + [keys.service_key(now).private_key]
    for secret in secrets:
        canaries.plant("private scalar", secret.private_numbers().private_value.to_bytes(32))
        der = secret.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        canaries.plant("private key", der)
    for gate in ring.gate:
        canaries.plant("gate key", gate.secret)
    canaries.plant("challenge key", keys.challenge_key().secret)
    for shown in (page(admin_client, app), admin_client.get(CONSOLE).content.decode()):
        assert canaries.told(shown) == []


def test_before_the_first_run_it_says_so_and_makes_nothing(admin_client: Client, app: App) -> None:
    assert page(admin_client, app).count("none yet") == 3
    assert [path for path in conf.current().keys_dir.rglob("*") if path.is_file()] == []
    assert not SealedSecret.objects.exists()


def test_keys_that_cannot_be_read_are_told_in_words(admin_client: Client, app: App, tmp_path: Path) -> None:
    keys = KeySources(conf.current())
    keys.ring("shop", timezone.now())
    keys.service_ring()
    for path in (tmp_path / "keys", tmp_path / "sealing.key"):
        if path.exists():
            path.chmod(0o755)
    try:
        shown = page(admin_client, app)
    finally:
        if (tmp_path / "keys").exists():
            (tmp_path / "keys").chmod(0o700)
    assert shown.count("cannot be read: configuration.") == 3


def test_apps_of_another_environment_are_not_there(admin_client: Client, app: App) -> None:
    other = App.objects.create(name="elsewhere", environment="staging")
    listing = admin_client.get(CONSOLE).content.decode()
    assert ">shop</a>" in listing
    assert "elsewhere" not in listing
    assert admin_client.get(f"{CONSOLE}{other.pk}/change/").status_code == 302


def test_nobody_changes_adds_erases_or_rotates_here(admin_client: Client, app: App) -> None:
    ring = KeySources(conf.current()).ring("shop", timezone.now())
    assert admin_client.get(f"{CONSOLE}add/").status_code == 403
    assert admin_client.post(f"{CONSOLE}{app.pk}/change/", {"name": "other"}).status_code == 403
    assert admin_client.post(f"{CONSOLE}{app.pk}/delete/", {"post": "yes"}).status_code == 403
    assert 'name="action"' not in admin_client.get(CONSOLE).content.decode()
    assert KeySet.objects.get().name == "shop"
    assert [each.key.kid for each in KeySources(conf.current()).of("shop").held().signing] == [
        each.key.kid for each in ring.signing
    ]
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("codename", "status"), [("view_keyset", 200), ("view_app", 403)])
def test_keys_are_seen_by_permission_of_their_own(client: Client, app: App, codename: str, status: int) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="bonafide", codename=codename))
    client.force_login(user)
    assert client.get(f"{CONSOLE}{app.pk}/change/").status_code == status
    assert client.get(CONSOLE).status_code == status
