"""What receivers are told of real requests: whose credential was bound or refused, and no secret of anybody's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from bonafide.django import records, signals
from bonafide.django.models import CredentialBinding
from bonafide.session import mac_key
from tests import canaries
from tests.django import bound_api
from tests.django.hearing import hearing
from tests.django.locked_api import configure, content, rule, send, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

    Told = list[tuple[str, dict[str, Any]]]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bound")]

TOKEN = "a token that no receiver may be told"
FUTURE = "2999-01-01"
WHERE = {"app": "app-under-test", "environment": "test"}


@pytest.fixture
def bound(settings: Any) -> None:
    bound_api.lock(settings)


@pytest.fixture
def ada(bound: None, bonafide_connect: Connect) -> AppClient:
    return bonafide_connect(hardware=bound_api.HARD)


@pytest.fixture
def mallory(ada: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone(), hardware=bound_api.HARD)


@pytest.fixture
def committing(django_capture_on_commit_callbacks: Callable[..., Any]) -> Callable[..., Any]:
    return lambda: django_capture_on_commit_callbacks(execute=True)


def log_in(client: AppClient, **more: Any) -> httpx.Response:
    return client.post("/api/login", json={"token": TOKEN} | more, headers={"Idempotency-Key": "1"})


def ask(client: AppClient, path: str = "/api/me") -> httpx.Response:
    return send(signed(client, path=path, headers={"Authorization": f"Bearer {TOKEN}"}))


def instance(client: AppClient) -> str:
    client.make_ready()
    assert client.device.keychain.enrolled is not None
    return client.device.keychain.enrolled.instance


def only(heard: Told, name: str) -> list[dict[str, Any]]:
    return [arguments for each, arguments in heard if each == name]


def test_login_tells_whose_credential_was_bound_and_to_which_instance(ada: AppClient, committing: Any) -> None:
    with hearing() as heard, committing():
        log_in(ada, user="7")
    told = WHERE | {"instance": instance(ada), "kind": "bearer", "user": "7", "first_use": False}
    assert only(heard, "credential_bound") == [told]
    assert [name for name, _ in heard if name != "keys_rotated"] == ["instance_enrolled", "credential_bound"]


def test_first_use_is_told_as_one(settings: Any, ada: AppClient, committing: Any) -> None:
    configure(settings, BINDING={"existing": f"bind_on_first_use until {FUTURE}"})
    with hearing() as heard, committing():
        content(ask(ada))
        content(ask(ada))
    told = WHERE | {"instance": instance(ada), "kind": "bearer", "user": "7", "first_use": True}
    assert only(heard, "credential_bound") == [told]


def test_binding_that_is_rolled_back_is_not_told(ada: AppClient, committing: Any) -> None:
    ada.make_ready()
    with hearing() as heard, committing(), transaction.atomic():
        log_in(ada)
        transaction.set_rollback(True)
    assert not CredentialBinding.objects.exists()
    assert only(heard, "credential_bound") == []


def test_login_that_binds_nothing_tells_of_no_binding(settings: Any, ada: AppClient, committing: Any) -> None:
    rule(settings, mode="observe")
    with hearing() as heard, committing():
        log_in(ada)
    assert only(heard, "credential_bound") == []


@pytest.mark.parametrize(("mode", "enforced"), [("enforce", True), ("observe", False)])
def test_stolen_credential_tells_whose_it_is_and_whose_phone_had_it(
    settings: Any, ada: AppClient, mallory: AppClient, mode: str, enforced: bool
) -> None:
    log_in(ada)
    rule(settings, mode=mode)
    with hearing() as heard:
        answer = ask(mallory)
        records.flush()
    (told,) = only(heard, "credential_refused")
    record = answer.headers["bonafide-record"] if enforced else told["record"]
    refusal = WHERE | {
        "instance": instance(mallory),
        "reason": "credential.bound_to_another_key",
        "record": record,
        "method": "GET",
        "route": "/api/**",
        "enforced": enforced,
    }
    assert told == refusal | {"kind": "bearer", "user": "7"}
    assert only(heard, "request_refused") == [refusal]


def test_refused_login_session_tells_whose_it_is(ada: AppClient) -> None:
    user = get_user_model().objects.create_user("ada", password="hers")
    ada.post("/api/session/login", headers={"Idempotency-Key": "1"})
    key = ada.cookies["sessionid"]
    with hearing() as heard:
        send(unsigned(path="/console/whoami", headers={"Cookie": f"sessionid={key}"}))
        records.flush()
    (told,) = only(heard, "credential_refused")
    assert (told["kind"], told["user"], told["instance"]) == ("django.session", str(user.pk), None)
    assert told["reason"] == "credential.proof_missing"


def test_refusal_that_is_about_no_credential_names_none(ada: AppClient) -> None:
    with hearing() as heard:
        send(unsigned(path="/api/me"))
        send(signed(ada, "POST", "/api/login", json={"token": TOKEN}))  # a login without a hardware proof
        records.flush()
    assert [each["reason"] for each in only(heard, "request_refused")] == [
        "client_attestation.missing",
        "credential.hardware_proof_required",
    ]
    assert only(heard, "credential_refused") == []


def test_credential_is_named_in_its_own_refusal_alone_where_several_are_rehearsed(
    settings: Any, ada: AppClient, mallory: AppClient
) -> None:
    get_user_model().objects.create_user("ada", password="hers")
    ada.post("/api/session/login", headers={"Idempotency-Key": "1"})
    rule(settings, mode="observe")
    stolen = {"Cookie": f"sessionid={ada.cookies['sessionid']}"}
    with hearing() as heard:
        content(send(signed(mallory, path="/api/hardware", headers=stolen)))
        records.flush()
    refused = [each["reason"] for each in only(heard, "request_refused")]
    assert refused == ["credential.bound_to_another_key", "route.proof_kind_too_weak"]
    assert [each["reason"] for each in only(heard, "credential_refused")] == ["credential.bound_to_another_key"]


def test_receiver_that_fails_changes_no_answer(ada: AppClient, mallory: AppClient, committing: Any) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    for signal in (signals.credential_bound, signals.credential_refused, signals.request_refused):
        signal.connect(fail)
    try:
        with committing():
            assert content(log_in(ada))["outcome"] == "bound"
        assert ask(mallory).status_code == 401
        records.flush()
        assert content(ask(ada))["outcome"] == "bound"
    finally:
        for signal in (signals.credential_bound, signals.credential_refused, signals.request_refused):
            signal.disconnect(fail)


def test_no_receiver_is_told_a_secret(ada: AppClient, mallory: AppClient, committing: Any) -> None:
    canaries.plant("bearer", TOKEN)
    with hearing() as heard, committing():
        log_in(ada, user="7")
        enrolled = ada.device.keychain.enrolled
        assert enrolled is not None
        assert enrolled.session is not None
        canaries.plant("client attestation", enrolled.client_attestation)
        canaries.plant("session key", enrolled.session.key)
        canaries.plant("MAC key", mac_key(enrolled.session.key))
        ask(ada, "/api/refresh")
        ask(mallory)
        records.flush()
    assert {"instance_enrolled", "credential_bound", "credential_refused", "request_refused"} <= {
        name for name, _ in heard
    }
    assert canaries.told(repr(heard)) == []
    assert all(type(value) in {str, bool, type(None)} for _, told in heard for value in told.values())
