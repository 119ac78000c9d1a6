"""The one token of a user opens from that user's enrolled devices, and from nowhere else."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from rest_framework.authtoken.models import Token

from bonafide.django.models import CredentialBinding
from bonafide.terms import ProofKind
from tests.django.contrib.token_api import drf_login, drf_token, me, post, unproven
from tests.django.locked_api import configure, content, reason, rule, send, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from bonafide.testing.client import AppClient

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokens")]

FUTURE = "2999-01-01"


def believed(client: AppClient, token: str) -> str:
    answer = me(client, "drf", token)
    return str(content(answer)["user"]) if answer.status_code == 200 else reason(answer)


def hashed(token: str) -> bytes:
    return sha256(token.encode()).digest()


def bind_on_first_use(settings: Any) -> None:
    configure(settings, BINDING={"existing": f"bind_on_first_use until {FUTURE}"})


def test_token_opens_from_a_second_device_of_its_user_after_its_own_login(
    adas: AppClient, adas_second: AppClient
) -> None:
    token = drf_token(adas)
    assert believed(adas, token) == "ada"
    assert believed(adas_second, token) == "credential.bound_to_another_key"
    assert drf_token(adas_second) == token
    assert [believed(each, token) for each in (adas, adas_second)] == ["ada", "ada"]
    rows = CredentialBinding.objects.filter(credential=hashed(token))
    user = get_user_model().objects.get(username="ada")
    assert {(row.jkt, row.kind, row.user) for row in rows} == {
        (each.device.keychain.jkt, "drf.token", str(user.pk)) for each in (adas, adas_second)
    }


def test_token_opens_nothing_from_another_users_device(adas: AppClient, mallorys: AppClient) -> None:
    token = drf_token(adas)
    own = drf_token(mallorys, "mallory")
    assert believed(mallorys, own) == "mallory"
    assert believed(mallorys, token) == "credential.bound_to_another_key"
    assert believed(adas, own) == "credential.bound_to_another_key"


@pytest.mark.parametrize(
    ("where", "why"), [("api", "client_attestation.missing"), ("open", "credential.proof_missing")]
)
def test_token_opens_nothing_for_a_script(adas: AppClient, where: str, why: str) -> None:
    assert reason(unproven("drf", drf_token(adas), where)) == why


def test_login_with_a_session_proof_looks_at_no_password_and_hands_out_nothing(adas: AppClient) -> None:
    assert reason(drf_login(adas, proof=ProofKind.SESSION)) == "credential.hardware_proof_required"
    wrong = {"username": "ada", "password": "not hers"}
    answer = post(adas, "/api/drf/login", ProofKind.SESSION, json=wrong)
    assert reason(answer) == "credential.hardware_proof_required"
    assert not Token.objects.exists()


def test_login_with_a_wrong_password_binds_nothing(adas: AppClient) -> None:
    wrong = {"username": "ada", "password": "not hers"}
    assert post(adas, "/api/drf/login", json=wrong).status_code == 400
    assert not CredentialBinding.objects.exists()


def test_token_from_before_is_refused_until_its_user_logs_in(adas: AppClient) -> None:
    token = Token.objects.create(user=get_user_model().objects.get(username="ada")).key
    assert believed(adas, token) == "credential.not_bound"
    assert drf_token(adas) == token
    assert believed(adas, token) == "ada"


def test_first_use_gives_a_token_from_before_to_one_device_and_the_others_log_in(
    settings: Any, adas: AppClient, adas_second: AppClient
) -> None:
    token = Token.objects.create(user=get_user_model().objects.get(username="ada")).key
    bind_on_first_use(settings)
    assert believed(adas, token) == "ada"
    assert believed(adas_second, token) == "credential.bound_to_another_key"
    assert drf_token(adas_second) == token
    assert believed(adas_second, token) == "ada"


def test_old_app_version_of_a_user_with_a_bound_device_is_refused(settings: Any, adas: AppClient) -> None:
    token = drf_token(adas)
    rule(settings, legacy={"until": FUTURE, "max_share": 1.0})
    assert reason(unproven("drf", token)) == "credential.proof_missing"


def test_login_is_not_bound_while_its_route_observes(settings: Any, adas: AppClient, mallorys: AppClient) -> None:
    rule(settings, mode="observe")
    token = drf_token(adas)
    assert not CredentialBinding.objects.exists()
    assert believed(mallorys, token) == "ada"


# Ends -------------------------------------------------------------------------------------------

Committing = Any


def test_logout_of_one_device_leaves_the_other_and_of_the_last_ends_the_token(
    adas: AppClient, adas_second: AppClient, django_capture_on_commit_callbacks: Callable[..., Committing]
) -> None:
    token = drf_token(adas)
    drf_token(adas_second)
    assert content(post(adas, "/api/drf/logout", token=token)) == {}
    assert believed(adas, token) == "credential.bound_to_another_key"
    assert believed(adas_second, token) == "ada"
    with django_capture_on_commit_callbacks(execute=True):
        assert content(post(adas_second, "/api/drf/logout", token=token)) == {}
    assert me(adas_second, "drf", token).status_code == 401
    assert not Token.objects.exists()
    assert not CredentialBinding.objects.exists()


def test_last_device_that_leaves_leaves_no_token_that_first_use_could_claim(
    settings: Any, adas: AppClient, mallorys: AppClient
) -> None:
    token = drf_token(adas)
    bind_on_first_use(settings)
    post(adas, "/api/drf/logout", token=token)
    assert me(mallorys, "drf", token).status_code == 401


def test_device_that_a_first_use_bound_ends_the_token_when_it_is_the_last(settings: Any, adas: AppClient) -> None:
    token = Token.objects.create(user=get_user_model().objects.get(username="ada")).key
    bind_on_first_use(settings)
    assert believed(adas, token) == "ada"
    post(adas, "/api/drf/logout", token=token)
    assert not Token.objects.exists()


def test_change_of_password_ends_the_token_on_all_devices_and_binds_the_new_one(
    adas: AppClient, adas_second: AppClient, django_capture_on_commit_callbacks: Callable[..., Committing]
) -> None:
    token = drf_token(adas)
    drf_token(adas_second)
    with django_capture_on_commit_callbacks(execute=True):
        made = content(post(adas, "/api/drf/password", token=token))["token"]
    assert made != token
    assert [me(each, "drf", token).status_code for each in (adas, adas_second)] == [401, 401]
    assert believed(adas, made) == "ada"
    assert believed(adas_second, made) == "credential.bound_to_another_key"
    assert [bytes(row.credential) for row in CredentialBinding.objects.all()] == [hashed(made)]


@pytest.mark.parametrize("what", ["password", "hard"])
def test_change_of_password_is_for_a_hardware_proof_by_a_key_of_the_token(
    adas: AppClient, mallorys: AppClient, what: str
) -> None:
    token = drf_token(adas)
    session = post(adas, f"/api/drf/{what}", ProofKind.SESSION, token)
    assert reason(session) == "credential.hardware_proof_required"
    assert reason(post(mallorys, f"/api/drf/{what}", token=token)) == "credential.bound_to_another_key"
    assert Token.objects.get().key == token
    assert post(adas, f"/api/drf/{what}", token=token).status_code == 200


@pytest.mark.parametrize("kind", ["drf", "knox"])
def test_view_that_no_bound_token_authenticates_is_refused(adas: AppClient, kind: str) -> None:
    token = drf_token(adas)
    assert post(adas, f"/api/{kind}/careless", token=token).status_code == 401


# Mistakes ---------------------------------------------------------------------------------------


def test_login_on_an_open_route_hands_out_nothing(adas: AppClient, settings: Any) -> None:
    from bonafide.errors import Misuse

    configure(settings, ROUTES=[{"match": "/**", "client": "open", "because": "a mistake"}])
    with pytest.raises(Misuse, match=r"misuse\.not_admitted"):
        send(unsigned("POST", "/api/drf/login", json={"username": "ada", "password": "hers"}))
    assert not Token.objects.exists()


def test_nothing_is_believed_without_the_middleware(settings: Any, adas: AppClient) -> None:
    from bonafide.errors import Misuse

    token = drf_token(adas)
    request = signed(adas, path="/api/drf/me", headers={"Authorization": f"Token {token}"})
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]
    with pytest.raises(Misuse, match=r"misuse\.view_unguarded"):
        send(request)


WITHOUT = """
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "bonafide.django"])
import django; django.setup()
import importlib
importlib.import_module("bonafide.django.contrib.{name}")
"""


@pytest.mark.parametrize(("name", "app"), [("authtoken", "rest_framework.authtoken"), ("knox", "knox")])
def test_module_does_not_load_where_its_app_is_not_installed(name: str, app: str) -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT.format(name=name)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"configuration.setting_malformed: INSTALLED_APPS lacks {app}" in run.stderr
