"""Django's login sessions open nothing from another phone, and a browser's opens no app route."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model

from bonafide.django.login_sessions import KIND, BoundSessionMiddleware
from bonafide.django.models import CredentialBinding
from bonafide.errors import ConfigurationError, Misuse
from bonafide.terms import ProofKind
from tests.django import bound_api
from tests.django.locked_api import configure, content, reason, send, signed, unsigned

if TYPE_CHECKING:
    import httpx

    from bonafide.testing.client import AppClient
    from bonafide.testing.pytest_plugin import Connect

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bound")]


@pytest.fixture
def bound(settings: Any) -> None:
    bound_api.lock(settings)


@pytest.fixture
def ada(bound: None, bonafide_connect: Connect) -> AppClient:
    get_user_model().objects.create_user("ada", password="hers")
    return bonafide_connect()


@pytest.fixture
def mallory(ada: AppClient, bonafide_connect: Connect, _bonafide_world: Any) -> AppClient:
    return bonafide_connect(device=_bonafide_world.phone())


def cookie(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 200
    return {"Cookie": SimpleCookie(answer.headers["set-cookie"])["sessionid"].OutputString().partition(";")[0]}


def log_in(client: AppClient) -> dict[str, str]:
    return cookie(send(signed(client, "POST", "/api/session/login", proof=ProofKind.HARDWARE)))


def whoami(client: AppClient, headers: dict[str, str]) -> httpx.Response:
    return send(signed(client, path="/api/session/whoami", headers=headers))


def test_session_opens_on_its_own_phone_alone_and_the_thief_is_told_to_drop_it(
    ada: AppClient, mallory: AppClient
) -> None:
    session = log_in(ada)
    assert content(whoami(ada, session)) == {"user": "ada"}
    answer = whoami(mallory, session)
    assert reason(answer) == "credential.bound_to_another_key"
    assert answer.headers["set-cookie"].startswith('sessionid="";')


def test_browsers_session_stays_good_there_and_opens_no_app_route(ada: AppClient) -> None:
    session = cookie(send(unsigned("POST", "/console/login")))
    assert content(send(unsigned(path="/console/whoami", headers=session))) == {"user": "ada"}
    assert reason(whoami(ada, session)) == "credential.not_bound"


def test_apps_session_opens_nothing_in_a_browser(ada: AppClient) -> None:
    answer = send(unsigned(path="/console/whoami", headers=log_in(ada)))
    assert reason(answer) == "credential.proof_missing"


def test_change_of_password_wants_a_hardware_proof_and_a_new_binding(ada: AppClient) -> None:
    session = log_in(ada)
    post = ("POST", "/api/session/password")
    assert reason(send(signed(ada, *post, headers=session))) == "credential.hardware_proof_required"
    changed = send(signed(ada, *post, headers=session, json={"bind": True}, proof=ProofKind.HARDWARE))
    assert content(whoami(ada, cookie(changed))) == {"user": "ada"}
    forgotten = send(signed(ada, *post, headers=cookie(changed), json={}, proof=ProofKind.HARDWARE))
    assert reason(whoami(ada, cookie(forgotten))) == "credential.not_bound"


def test_nobodys_session_is_bound_to_no_key_also_where_first_use_binds(settings: Any, ada: AppClient) -> None:
    configure(settings, BINDING={"existing": "bind_on_first_use until 2999-01-01"})
    answer = send(signed(ada, "POST", "/api/session/password", proof=ProofKind.HARDWARE, content=b"{}"))
    assert reason(answer) == "credential.not_bound"


def test_session_that_rolls_on_outlives_no_binding(settings: Any, ada: AppClient) -> None:
    settings.SESSION_COOKIE_AGE = 3600
    session = log_in(ada)
    ends = CredentialBinding.objects.get(kind=KIND).expires_at
    assert ends is not None
    assert ends - datetime.now(UTC) > timedelta(days=1, minutes=59)
    assert content(whoami(ada, session)) == {"user": "ada"}


def test_service_itself_looks_at_no_session(ada: AppClient) -> None:
    answer = send(unsigned(path="/bonafide/v1/jwks.json", headers=log_in(ada)))
    assert answer.status_code == 200


def test_binding_before_login_is_the_projects_mistake(ada: AppClient) -> None:
    with pytest.raises(Misuse, match=r"misuse\.not_admitted"):
        send(signed(ada, path="/api/session/nobody", proof=ProofKind.HARDWARE))


def test_sessions_in_cookies_do_not_start(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    with pytest.raises(ConfigurationError, match=r"configuration\.setting_malformed"):
        BoundSessionMiddleware(lambda _: pytest.fail("it started"))
