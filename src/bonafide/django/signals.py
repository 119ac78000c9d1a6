"""What a project may listen to, and what keeps the caches of apps and bans fresh.

Receivers run after the transaction that the signal tells of is committed, in the process that made it; an
exception of a receiver is logged by Django and changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal

if TYPE_CHECKING:
    from django.db.models import Model

instance_banned: Final = Signal()
"""A ban was put on an instance or a key. Arguments: `app`, `environment`, `scope`, `subject`."""

instance_unbanned: Final = Signal()
"""A ban was lifted. Arguments as `instance_banned`."""

attest_key_superseded: Final = Signal()
"""A known `sign` key enrolled with another App Attest key: a reinstall. Arguments: `app`, `environment`, `instance`."""


def send_after_commit(signal: Signal, *, using: str, **arguments: str) -> None:
    """Send `signal` once the transaction on the database `using` is committed, and never if it is not."""
    transaction.on_commit(lambda: signal.send_robust(sender=None, **arguments), using=using, robust=True)


def connect() -> None:
    """Let every change of an app or an identity through the ORM raise the revision of the apps."""
    from bonafide.django.models import App, Identity  # noqa: PLC0415 - called once models are loaded

    for model in (App, Identity):
        for change in (post_save, post_delete):
            change.connect(_apps_changed, sender=model, dispatch_uid=f"bonafide.{model.__name__}")


def _apps_changed(*, instance: Model, using: str, **_: object) -> None:
    from bonafide.django import revisions  # noqa: PLC0415 - called once models are loaded
    from bonafide.django.models import App, Identity  # noqa: PLC0415 - models exist once apps are ready

    app = instance.app if isinstance(instance, Identity) else instance
    if isinstance(app, App):
        revisions.raise_revision(revisions.APPS, environment=app.environment, using=using)
