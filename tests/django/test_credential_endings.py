"""Bindings go with the tokens that they hold, whoever deletes these, and not before the deletion holds."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models.signals import post_delete
from django.utils import timezone
from rest_framework.authtoken.models import Token, TokenProxy

from bonafide.django import credential_endings
from bonafide.django.models import CredentialBinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.django.databases import Database


def bind(credential: str) -> None:
    now = timezone.now()
    CredentialBinding.objects.create(
        credential=hashed(credential), app="shop", environment="test", jkt="j", kind="k", bound_at=now, proven_at=now
    )


def hashed(credential: str) -> bytes:
    return sha256(credential.encode()).digest()


def held() -> list[bytes]:
    return [bytes(row.credential) for row in CredentialBinding.objects.all()]


def token_of(name: str) -> str:
    """Return a user's token, bound."""
    token = Token.objects.create(user=get_user_model().objects.create_user(name))
    bind(token.key)
    return str(token.key)


def deletions(token: str) -> dict[str, Any]:
    return {
        "row": lambda: Token.objects.get(key=token).delete(),
        "rows": lambda: Token.objects.filter(key=token).delete(),
        "proxy": lambda: TokenProxy.objects.get(key=token).delete(),
        "proxies": lambda: TokenProxy.objects.filter(key=token).delete(),
        "user": lambda: get_user_model().objects.get(username="ada").delete(),
    }


@pytest.mark.parametrize("how", list(deletions("")))
def test_bindings_go_with_their_token_after_the_commit_and_no_others(database: Database, how: str) -> None:
    token, other = token_of("ada"), token_of("mallory")
    with transaction.atomic(using=database.alias):
        deletions(token)[how]()
        assert len(held()) == 2
    assert held() == [hashed(other)]


def test_binding_of_a_token_whose_deletion_is_undone_stays(database: Database) -> None:
    token = token_of("ada")
    with transaction.atomic(using=database.alias):
        Token.objects.filter(key=token).delete()
        transaction.set_rollback(True, using=database.alias)
    assert held() == [hashed(token)]


def test_proxy_that_an_older_rest_framework_names_as_sender_is_followed(database: Database) -> None:
    token = token_of("ada")
    post_delete.send(TokenProxy, instance=TokenProxy.objects.get(key=token), using=database.alias)
    assert not held()


def test_bindings_that_cannot_be_erased_keep_nobody_from_logging_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError

    token = token_of("ada")
    monkeypatch.setattr("bonafide.django.binding.release_credential", fail)
    Token.objects.filter(key=token).delete()
    assert held() == [hashed(token)]


@pytest.fixture
def followed() -> Iterator[None]:
    credential_endings.forget_with(Session, "session_key")
    yield
    assert post_delete.disconnect(sender=Session, dispatch_uid="bonafide.forget.sessions.Session")


@pytest.mark.usefixtures("followed")
def test_model_of_the_projects_own_is_followed_once_it_is_named(database: Database) -> None:
    bind("a session")
    Session.objects.create(session_key="a session", session_data="", expire_date=timezone.now())
    Session.objects.all().delete()
    assert not held()
