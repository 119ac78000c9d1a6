"""A credential bound at login opens nothing from another device, also from a genuine app."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from bonafide.django import binding
from bonafide.django.models import CredentialBinding
from bonafide.errors import Misuse
from bonafide.terms import ProofKind
from tests.django import bound_api
from tests.django.locked_api import configure, content, reason, rule, send, send_to_event_loop, signed, unsigned
from tests.django.locked_api import would_have_refused as rehearsed

if TYPE_CHECKING:
    import httpx

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bound")]

TOKEN = "a token"
PAST, FUTURE = "2020-01-01", "2999-01-01"


@pytest.fixture
def bound(settings: Any) -> None:
    bound_api.lock(settings)


@pytest.fixture
def ada(bound: None, bonafide_connect: Connect) -> AppClient:
    return bonafide_connect(hardware=bound_api.HARD)


@pytest.fixture
def mallory(ada: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone(), hardware=bound_api.HARD)


def log_in(client: AppClient, token: str = TOKEN, **more: Any) -> httpx.Response:
    return client.post("/api/login", json={"token": token} | more, headers={"Idempotency-Key": "1"})


def ask(
    client: AppClient, path: str = "/api/me", token: str = TOKEN, proof: ProofKind = ProofKind.SESSION, **options: Any
) -> httpx.Response:
    return send(signed(client, path=path, headers={"Authorization": f"Bearer {token}"}, proof=proof, **options))


def existing(settings: Any, until: str | None) -> None:
    configure(settings, BINDING={"existing": "refuse" if until is None else f"bind_on_first_use until {until}"})


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_login_binds_the_credential_and_keeps_only_its_digest(ada: AppClient) -> None:
    assert content(log_in(ada, user="7")) == {"outcome": "bound", "before": "bound"}
    row = CredentialBinding.objects.get()
    keychain = ada.device.keychain
    assert bytes(row.credential) == sha256(TOKEN.encode()).digest()
    assert keychain.enrolled is not None
    assert (row.jkt, row.instance) == (keychain.jkt, keychain.enrolled.instance)
    assert (row.app, row.environment, row.kind) == ("app-under-test", "test", "bearer")
    assert (row.user, row.first_use, row.expires_at) == ("7", False, None)
    assert content(ask(ada)) == {"outcome": "bound"}


def test_event_loop_believes_it_too(ada: AppClient) -> None:
    log_in(ada)
    assert content(send_to_event_loop(signed(ada, path="/api/later", headers=bearer()))) == {"outcome": "bound"}


def test_stolen_credential_is_worthless_in_a_genuine_app_on_another_phone(ada: AppClient, mallory: AppClient) -> None:
    log_in(ada)
    answer = ask(mallory)
    assert (answer.status_code, answer.headers["bonafide-action"]) == (401, "give_up")
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason(answer) == "credential.bound_to_another_key"
    refused = rehearsed()[-1]
    assert (refused.enforced, refused.route) == (True, "/api/**")
    assert mallory.device.keychain.enrolled is not None
    assert refused.instance == mallory.device.keychain.enrolled.instance
    assert content(ask(ada)) == {"outcome": "bound"}


def test_event_loop_refuses_it_too(ada: AppClient, mallory: AppClient) -> None:
    log_in(ada)
    answer = send_to_event_loop(signed(mallory, path="/api/later", headers=bearer()))
    assert (answer.status_code, reason(answer)) == (401, "credential.bound_to_another_key")


def test_stolen_credential_is_worthless_in_another_app_of_the_service(
    settings: Any, ada: AppClient, mallory: AppClient
) -> None:
    log_in(ada)
    CredentialBinding.objects.update(app="partner")
    existing(settings, FUTURE)
    assert reason(ask(ada)) == "credential.bound_to_another_key"


def test_binding_of_another_environment_opens_nothing(settings: Any, ada: AppClient) -> None:
    log_in(ada)
    CredentialBinding.objects.update(environment="staging")
    existing(settings, FUTURE)
    assert reason(ask(ada)) == "credential.bound_to_another_key"


def test_two_devices_are_two_rows_and_both_open(ada: AppClient, mallory: AppClient) -> None:
    log_in(ada)
    log_in(mallory)
    assert CredentialBinding.objects.count() == 2
    assert [content(ask(each))["outcome"] for each in (ada, mallory)] == ["bound", "bound"]


def test_login_again_is_the_same_row(ada: AppClient) -> None:
    log_in(ada, user="7")
    assert content(log_in(ada, user="8"))["outcome"] == "bound"
    assert CredentialBinding.objects.get().user == "8"


def test_credential_from_before_is_refused(ada: AppClient) -> None:
    assert reason(ask(ada)) == "credential.not_bound"
    assert not CredentialBinding.objects.exists()


def test_binding_of_another_kind_opens_nothing(ada: AppClient) -> None:
    log_in(ada)
    assert reason(ask(ada, "/api/other")) == "credential.not_bound"


def test_binding_that_is_over_opens_nothing_even_where_first_use_binds(settings: Any, ada: AppClient) -> None:
    log_in(ada, life=-1)
    existing(settings, FUTURE)
    assert reason(ask(ada)) == "credential.not_bound"


def test_binding_is_prolonged_with_its_credential(ada: AppClient) -> None:
    log_in(ada, life=60)
    before = datetime.now(UTC)
    assert content(ask(ada, "/api/long"))["outcome"] == "bound"
    ends = CredentialBinding.objects.get().expires_at
    assert ends is not None
    assert ends > before + timedelta(days=2)


def test_binding_is_not_written_for_every_request(ada: AppClient) -> None:
    log_in(ada, life=(bound_api.LIFE - binding.PROLONG_AFTER).total_seconds() + 60)
    before = CredentialBinding.objects.values().get()
    assert content(ask(ada, "/api/long"))["outcome"] == "bound"
    assert CredentialBinding.objects.values().get() == before


def test_honest_request_costs_one_lookup_by_primary_key(ada: AppClient) -> None:
    log_in(ada)
    request = signed(ada, path="/api/me", headers=bearer())
    with CaptureQueriesContext(connection) as queries:
        assert content(send(request))["outcome"] == "bound"
    lookups = [each["sql"] for each in queries if "credentialbinding" in each["sql"]]
    assert len(lookups) == 1
    assert all(f'"{name}" = ' in lookups[0] for name in ("credential", "app", "environment", "jkt"))


# Proofs -----------------------------------------------------------------------------------------


def test_login_with_a_session_proof_binds_nothing(ada: AppClient) -> None:
    answer = send(signed(ada, "POST", "/api/login", json={"token": TOKEN}))
    assert (answer.status_code, answer.headers["bonafide-action"]) == (401, "sign_again")
    assert reason(answer) == "credential.hardware_proof_required"
    assert not CredentialBinding.objects.exists()


def test_refresh_with_a_session_proof_is_refused(ada: AppClient) -> None:
    log_in(ada)
    assert reason(ask(ada, "/api/refresh")) == "credential.hardware_proof_required"


def test_refresh_with_a_hardware_proof_is_written_down(ada: AppClient) -> None:
    log_in(ada)
    CredentialBinding.objects.update(proven_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert content(ask(ada))["outcome"] == "bound"
    assert CredentialBinding.objects.get().proven_at.year == 2020
    assert content(ask(ada, "/api/refresh", proof=ProofKind.HARDWARE))["outcome"] == "bound"
    assert CredentialBinding.objects.get().proven_at.year != 2020


def test_refresh_from_another_phone_is_refused_whatever_its_proof(ada: AppClient, mallory: AppClient) -> None:
    log_in(ada)
    answer = ask(mallory, "/api/refresh", proof=ProofKind.HARDWARE)
    assert reason(answer) == "credential.bound_to_another_key"


@pytest.mark.parametrize("known", [True, False])
def test_credential_on_an_open_route_is_refused(ada: AppClient, known: bool) -> None:
    if known:
        log_in(ada)
    answer = send(unsigned(path="/open/me", headers=bearer()))
    assert (answer.status_code, reason(answer)) == (401, "credential.proof_missing")


def test_login_on_an_open_route_is_the_projects_mistake(ada: AppClient) -> None:
    with pytest.raises(Misuse, match=r"misuse\.not_admitted"):
        send(unsigned("POST", "/open/login", json={"token": TOKEN}))
    assert not CredentialBinding.objects.exists()


def test_without_the_middleware_nothing_is_believed() -> None:
    request = RequestFactory().get("/")
    with pytest.raises(Misuse, match=r"misuse\.not_admitted"):
        binding.bind_credential(request, TOKEN)
    with pytest.raises(Misuse, match=r"misuse\.view_unguarded"):
        binding.require_bound(request, TOKEN)


def test_end_without_a_time_zone_is_the_projects_mistake(ada: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def naive(request: Any) -> Any:
        return binding.bind_credential(request, TOKEN, expires_at=datetime(2030, 1, 1))  # noqa: DTZ001 - the point

    monkeypatch.setattr(bound_api.urlpatterns[0], "callback", naive)
    with pytest.raises(Misuse, match=r"misuse\.time_naive"):
        ask(ada, "/api/login", proof=ProofKind.HARDWARE)


# Rehearsals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["observe", "99%"])
@pytest.mark.parametrize("proof", [ProofKind.HARDWARE, ProofKind.SESSION])
def test_rehearsal_binds_nothing_and_login_works(settings: Any, ada: AppClient, mode: Any, proof: ProofKind) -> None:
    rule(settings, mode=mode)
    answer = send(signed(ada, "POST", "/api/login", json={"token": TOKEN}, proof=proof))
    assert content(answer) == {"outcome": "observed", "before": "observed"}
    assert not CredentialBinding.objects.exists()


def test_nobody_at_all_logs_in_and_is_believed_while_observing(settings: Any, ada: AppClient) -> None:
    rule(settings, mode="observe")
    answer = send(unsigned("POST", "/api/login", json={"token": TOKEN}))
    assert content(answer)["outcome"] == "observed"
    assert content(send(unsigned(path="/api/me", headers=bearer())))["outcome"] == "observed"


@pytest.mark.parametrize("mode", ["observe", "99%"])
def test_rehearsal_writes_down_what_it_would_refuse(
    settings: Any, ada: AppClient, mallory: AppClient, mode: Any
) -> None:
    log_in(ada)
    rule(settings, mode=mode)
    assert content(ask(mallory))["outcome"] == "observed"
    assert content(ask(mallory, token="other"))["outcome"] == "observed"
    assert [(row.reason, row.enforced) for row in rehearsed()[-2:]] == [
        ("credential.bound_to_another_key", False),
        ("credential.not_bound", False),
    ]


def test_rehearsal_binds_nothing_on_first_use(settings: Any, ada: AppClient) -> None:
    existing(settings, FUTURE)
    rule(settings, mode="observe")
    assert content(ask(ada))["outcome"] == "observed"
    assert not CredentialBinding.objects.exists()


def test_old_app_version_logs_in_unbound_and_is_believed_without(settings: Any, ada: AppClient) -> None:
    rule(settings, legacy={"until": FUTURE, "max_share": 1.0})
    answer = send(unsigned("POST", "/api/login", json={"token": TOKEN}))
    assert content(answer) == {"outcome": "legacy", "before": "legacy"}
    assert content(send(unsigned(path="/api/me", headers=bearer())))["outcome"] == "legacy"
    assert not CredentialBinding.objects.exists()


def test_bound_credential_is_not_believed_from_what_says_it_is_an_old_app(settings: Any, ada: AppClient) -> None:
    log_in(ada)
    rule(settings, legacy={"until": FUTURE, "max_share": 1.0})
    assert reason(send(unsigned(path="/api/me", headers=bearer()))) == "credential.proof_missing"


# Credentials from before ------------------------------------------------------------------------


def test_first_use_binds_a_credential_from_before(settings: Any, ada: AppClient, mallory: AppClient) -> None:
    existing(settings, FUTURE)
    assert content(ask(ada))["outcome"] == "bound"
    row = CredentialBinding.objects.exclude(jkt="").get()
    assert (row.first_use, row.user, row.kind) == (True, "7", "bearer")
    assert row.jkt == ada.device.keychain.jkt
    assert reason(ask(mallory)) == "credential.bound_to_another_key"
    assert content(ask(ada))["outcome"] == "bound"


@pytest.mark.parametrize("until", [PAST, datetime.now(UTC).date().isoformat()])
def test_first_use_binds_nothing_from_its_day_on(settings: Any, ada: AppClient, until: str) -> None:
    existing(settings, until)
    assert reason(ask(ada)) == "credential.not_bound"
    assert not CredentialBinding.objects.exists()


def test_what_first_use_bound_stays_bound_after_the_day(settings: Any, ada: AppClient) -> None:
    existing(settings, FUTURE)
    ask(ada)
    existing(settings, PAST)
    assert content(ask(ada))["outcome"] == "bound"


def test_of_two_phones_that_come_at_once_one_has_the_credential(
    settings: Any, ada: AppClient, mallory: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing(settings, FUTURE)
    ask(ada)
    # Mallory's request looked before Ada's had written.
    monkeypatch.setattr(binding, "_require_claimable", lambda _: None)
    assert reason(ask(mallory)) == "credential.bound_to_another_key"
    assert CredentialBinding.objects.count() == 2


def test_two_first_uses_by_one_phone_at_once_are_both_believed(
    settings: Any, ada: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    existing(settings, FUTURE)
    ask(ada)
    real, looks = binding._find, []

    def late(*arguments: Any, **options: Any) -> Any:
        looks.append(1)
        return None if len(looks) == 1 else real(*arguments, **options)

    monkeypatch.setattr(binding, "_find", late)
    monkeypatch.setattr(binding, "_require_claimable", lambda _: None)
    assert content(ask(ada))["outcome"] == "bound"


# Ends -------------------------------------------------------------------------------------------


def test_released_credential_is_forgotten_on_every_device(ada: AppClient, mallory: AppClient) -> None:
    log_in(ada)
    log_in(mallory)
    log_in(ada, "another")
    binding.release_credential(TOKEN)
    assert [reason(ask(each)) for each in (ada, mallory)] == ["credential.not_bound"] * 2
    assert content(ask(ada, token="another"))["outcome"] == "bound"


def test_released_user_keeps_nothing_and_others_do(ada: AppClient) -> None:
    log_in(ada, user="7")
    log_in(ada, "another", user="8")
    log_in(ada, "nobody's")
    binding.release_user("7")
    binding.release_user(None)
    assert reason(ask(ada)) == "credential.not_bound"
    assert content(ask(ada, token="another"))["outcome"] == "bound"
    assert content(ask(ada, token="nobody's"))["outcome"] == "bound"
