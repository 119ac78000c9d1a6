"""Bindings end with the tokens that they hold, whoever deletes these: a logout, a purge, the admin, a user's removal.

`rest_framework.authtoken` and knox are followed where they are installed. A token model of the project's own is
followed once `forget_with(MyToken, "key")` was called, in `AppConfig.ready`.

A binding is erased after the deletion is committed, so none is gone while its token lives: such a token would count as
one from before. A binding that stays (an error, a raw DELETE) opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import transaction
from django.db.models.signals import post_delete

if TYPE_CHECKING:
    from django.db.models import Model


def forget_with(model: type[Model], attribute: str) -> None:
    """Erase a credential's bindings when its row of `model` is deleted. `attribute` holds what was bound."""

    def forget(*, instance: Model, using: str, **_: Any) -> None:
        from bonafide.django import binding  # noqa: PLC0415 - called once models are loaded

        credential = getattr(instance, attribute)
        transaction.on_commit(lambda: binding.release_credential(credential), using=using, robust=True)

    post_delete.connect(forget, sender=model, weak=False, dispatch_uid=f"bonafide.forget.{model._meta.label}")  # noqa: SLF001 - Django's documented name


def connect() -> None:
    """Follow the tokens of the packages that are installed."""
    if apps.is_installed("rest_framework.authtoken"):
        forget_with(apps.get_model("authtoken", "Token"), "key")
        forget_with(apps.get_model("authtoken", "TokenProxy"), "key")  # what the admin deletes
    if apps.is_installed("knox"):
        from knox.models import get_token_model  # noqa: PLC0415 - an app that may be missing

        forget_with(get_token_model(), "digest")
