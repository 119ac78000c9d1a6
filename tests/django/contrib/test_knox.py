"""A token of knox opens from exactly the device that logged in, for as long as knox lets it live."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256, sha512
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from knox.models import AuthToken

from bonafide.django.models import CredentialBinding
from bonafide.terms import ProofKind
from tests.django.contrib.token_api import basic, knox_login, knox_token, me, post, unproven
from tests.django.locked_api import configure, content, reason, rule

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bonafide.testing.client import AppClient

    Committing = Callable[..., Any]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("tokens")]

FUTURE = "2999-01-01"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def believed(client: AppClient, token: str) -> str:
    answer = me(client, "knox", token)
    return str(content(answer)["user"]) if answer.status_code == 200 else reason(answer)


def binding_of(token: str) -> CredentialBinding:
    """Find it as the digest that knox has of the token is digested."""
    digest = sha256(sha512(token.encode()).hexdigest().encode()).digest()
    return CredentialBinding.objects.exclude(jkt="").get(credential=digest)


def at(moment: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let knox and the binding see another time; proofs are made and judged in the real one."""
    clock = type("Clock", (), {"now": staticmethod(lambda _: moment)})
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)
    monkeypatch.setattr("bonafide.django.binding.datetime", clock)


def test_token_opens_on_its_own_phone_alone(adas: AppClient, mallorys: AppClient) -> None:
    token = knox_token(adas)
    assert believed(adas, token) == "ada"
    assert believed(mallorys, token) == "credential.bound_to_another_key"
    row = binding_of(token)
    user = get_user_model().objects.get(username="ada")
    assert (row.jkt, row.kind, row.user, row.first_use) == (adas.device.keychain.jkt, "knox.token", str(user.pk), False)
    assert row.expires_at == AuthToken.objects.get().expiry


def test_second_device_of_the_user_has_a_token_of_its_own_and_no_other(adas: AppClient, adas_second: AppClient) -> None:
    first, second = knox_token(adas), knox_token(adas_second)
    assert [believed(adas, first), believed(adas_second, second)] == ["ada", "ada"]
    assert [believed(adas, second), believed(adas_second, first)] == ["credential.bound_to_another_key"] * 2


@pytest.mark.parametrize(
    ("where", "why"), [("api", "client_attestation.missing"), ("open", "credential.proof_missing")]
)
def test_token_opens_nothing_for_a_script(adas: AppClient, where: str, why: str) -> None:
    assert reason(unproven("knox", knox_token(adas), where)) == why


def test_login_with_a_session_proof_looks_at_no_password_and_makes_nothing(adas: AppClient) -> None:
    assert reason(knox_login(adas, proof=ProofKind.SESSION)) == "credential.hardware_proof_required"
    wrong = {"Authorization": "Basic YWRhOndyb25n"}
    answer = post(adas, "/api/knox/login", ProofKind.SESSION, headers=wrong)
    assert reason(answer) == "credential.hardware_proof_required"
    assert post(adas, "/api/knox/login", headers=wrong).status_code == 401
    assert not AuthToken.objects.exists()


def test_options_tell_nothing_of_a_password_either(adas: AppClient) -> None:
    from tests.django.locked_api import send, signed

    request = signed(adas, "OPTIONS", "/api/knox/login", headers=basic("ada"))
    assert reason(send(request)) == "credential.hardware_proof_required"


def test_token_that_could_not_be_bound_is_not_made(adas: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("bonafide.django.binding._write", fail)
    with pytest.raises(RuntimeError):
        knox_login(adas)
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize("prefix", ["", "shop_"])
def test_prefix_is_part_of_the_token_and_changes_nothing(settings: Any, adas: AppClient, prefix: str) -> None:
    settings.REST_KNOX = {"TOKEN_PREFIX": prefix}
    token = knox_token(adas)
    assert token.startswith(prefix)
    assert believed(adas, token) == "ada"
    assert binding_of(token).jkt == adas.device.keychain.jkt


def test_another_hash_of_knox_is_followed(settings: Any, adas: AppClient, mallorys: AppClient) -> None:
    settings.REST_KNOX = {"SECURE_HASH_ALGORITHM": "hashlib.sha256"}
    token = knox_token(adas)
    assert believed(adas, token) == "ada"
    assert believed(mallorys, token) == "credential.bound_to_another_key"
    digest = sha256(sha256(token.encode()).hexdigest().encode()).digest()
    assert CredentialBinding.objects.filter(credential=digest).exists()


# Credentials from before, and rehearsals --------------------------------------------------------


def from_before(**options: Any) -> str:
    return str(AuthToken.objects.create(user=get_user_model().objects.get(username="ada"), **options)[1])


def test_token_from_before_is_refused(adas: AppClient) -> None:
    assert believed(adas, from_before()) == "credential.not_bound"


def test_first_use_binds_a_token_from_before_until_it_ends(settings: Any, adas: AppClient, mallorys: AppClient) -> None:
    configure(settings, BINDING={"existing": f"bind_on_first_use until {FUTURE}"})
    token = from_before()
    assert believed(adas, token) == "ada"
    assert believed(mallorys, token) == "credential.bound_to_another_key"
    row = binding_of(token)
    assert (row.first_use, row.expires_at) == (True, AuthToken.objects.get().expiry)


def test_nothing_is_bound_or_refused_while_the_route_observes(
    settings: Any, adas: AppClient, mallorys: AppClient
) -> None:
    rule(settings, mode="observe")
    token = knox_token(adas)
    assert [believed(each, token) for each in (adas, mallorys)] == ["ada", "ada"]
    assert not CredentialBinding.objects.exists()


# Ends -------------------------------------------------------------------------------------------


def test_logout_ends_this_device_and_its_binding_alone(
    adas: AppClient, adas_second: AppClient, django_capture_on_commit_callbacks: Committing
) -> None:
    first, second = knox_token(adas), knox_token(adas_second)
    with django_capture_on_commit_callbacks(execute=True):
        assert post(adas, "/api/knox/logout", token=first).status_code == 204
    assert me(adas, "knox", first).status_code == 401
    assert believed(adas_second, second) == "ada"
    assert CredentialBinding.objects.get().jkt == adas_second.device.keychain.jkt


def test_logoutall_ends_all_devices_of_the_user_and_nobody_elses(
    adas: AppClient, adas_second: AppClient, mallorys: AppClient, django_capture_on_commit_callbacks: Committing
) -> None:
    first, second, other = knox_token(adas), knox_token(adas_second), knox_token(mallorys, "mallory")
    with django_capture_on_commit_callbacks(execute=True):
        assert post(adas, "/api/knox/logoutall", token=first).status_code == 204
    assert [me(adas, "knox", first).status_code, me(adas_second, "knox", second).status_code] == [401, 401]
    assert believed(mallorys, other) == "mallory"
    assert CredentialBinding.objects.get().jkt == mallorys.device.keychain.jkt


@pytest.mark.parametrize("what", ["logout", "logoutall"])
def test_stolen_token_logs_nobody_out(adas: AppClient, mallorys: AppClient, what: str) -> None:
    token = knox_token(adas)
    assert reason(post(mallorys, f"/api/knox/{what}", token=token)) == "credential.bound_to_another_key"
    assert believed(adas, token) == "ada"


def test_expired_tokens_bindings_go_when_knox_removes_it(
    adas: AppClient, adas_second: AppClient, django_capture_on_commit_callbacks: Committing
) -> None:
    first, second = knox_token(adas), knox_token(adas_second)
    AuthToken.objects.filter(token_key=first[:15]).update(expiry=timezone.now() - HOUR)
    with django_capture_on_commit_callbacks(execute=True):
        assert believed(adas_second, second) == "ada"
    assert AuthToken.objects.count() == 1
    assert CredentialBinding.objects.get().jkt == adas_second.device.keychain.jkt
    assert me(adas, "knox", first).status_code == 401


def test_token_without_an_end_has_a_binding_without_one(settings: Any, adas: AppClient) -> None:
    settings.REST_KNOX = {"TOKEN_TTL": None, "AUTO_REFRESH": True}
    token = knox_token(adas)
    assert binding_of(token).expires_at is None
    assert believed(adas, token) == "ada"


@pytest.mark.parametrize("life", [timedelta(hours=10), timedelta(days=30)])
def test_binding_lives_as_long_as_the_use_of_its_token_renews_it(
    settings: Any, adas: AppClient, monkeypatch: pytest.MonkeyPatch, life: timedelta
) -> None:
    settings.REST_KNOX = {"AUTO_REFRESH": True, "TOKEN_TTL": life}
    token, now = knox_token(adas), timezone.now()
    for step in range(1, 9):
        moment = now + step * (life - HOUR)
        with monkeypatch.context() as patch:
            at(moment, patch)
            assert believed(adas, token) == "ada", step
        ends = binding_of(token).expires_at
        assert ends is not None
        assert ends >= AuthToken.objects.get().expiry


def test_token_that_nobody_used_in_time_is_over_though_its_binding_is_not(
    settings: Any, adas: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REST_KNOX = {"AUTO_REFRESH": True}
    token = knox_token(adas)
    with monkeypatch.context() as patch:
        at(timezone.now() + 11 * HOUR, patch)
        assert me(adas, "knox", token).status_code == 401


def test_use_from_another_phone_renews_nothing(settings: Any, adas: AppClient, mallorys: AppClient) -> None:
    settings.REST_KNOX = {"AUTO_REFRESH": True}
    token = knox_token(adas)
    soon = timezone.now() + HOUR
    AuthToken.objects.update(expiry=soon)
    assert believed(mallorys, token) == "credential.bound_to_another_key"
    assert AuthToken.objects.get().expiry == soon
    assert believed(adas, token) == "ada"
    assert AuthToken.objects.get().expiry > soon + HOUR


def test_use_does_not_renew_unless_knox_is_told_to(adas: AppClient) -> None:
    token = knox_token(adas)
    soon = timezone.now() + HOUR
    AuthToken.objects.update(expiry=soon)
    assert believed(adas, token) == "ada"
    assert AuthToken.objects.get().expiry == soon


def test_change_of_password_is_for_a_hardware_proof_by_the_key_of_the_token(
    adas: AppClient, mallorys: AppClient
) -> None:
    token = knox_token(adas)
    session = post(adas, "/api/knox/password", ProofKind.SESSION, token)
    assert reason(session) == "credential.hardware_proof_required"
    assert reason(post(mallorys, "/api/knox/password", token=token)) == "credential.bound_to_another_key"
    assert content(post(adas, "/api/knox/password", token=token)) == {"outcome": "bound"}
