"""What a project may listen to, and what keeps the caches of apps and bans fresh.

    @receiver(credential_refused)
    def warn(*, user, reason, enforced, **_):      # `**_`: arguments are added, and none is taken away
        ...

Each signal is named for what has happened and is sent without a sender. Its arguments are texts, truths and None, and
`app` and `environment` are among them; none is a secret, a token, a key or a digest of one. Receivers run after the
commit of what the signal tells of, and never if it is not committed, in the process that did it. An exception of
theirs is logged by Django (`django.dispatch`) and changes nothing.

What a gate that is a process of its own refuses is told there, by its log and its metrics. Whoever adds a signal: a
constant with its docstring here, and `send_after_commit` inside the transaction (`send_now` where there is none).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    from bonafide.django.models import Instance
    from bonafide.ports import Registration, Renewal

    Told = str | int | None

instance_enrolled: Final = Signal()
"""An instance enrolled, or enrolled again under its `sign` key.

Arguments: `app`, `environment`, `instance`, `identity`, `platform`, `tier`, `evidence_environment`, and `again`: True
where the instance was known. A lost answer that is given a second time is not told."""

instance_renewed: Final = Signal()
"""An instance renewed.

Arguments: `app`, `environment`, `instance`, `tier`, and `asserted`: True where it gave an assertion. Renewals are many:
without a receiver a renewal costs no query more."""

attest_key_superseded: Final = Signal()
"""A known `sign` key enrolled with another App Attest key: a reinstall. Arguments: `app`, `environment`, `instance`."""

instance_banned: Final = Signal()
"""A ban was put on an instance or a key. Arguments: `app`, `environment`, `scope`, `subject`."""

instance_unbanned: Final = Signal()
"""A ban was lifted. Arguments as `instance_banned`."""

request_refused: Final = Signal()
"""A request, an enrolment or a renewal was refused, or would have been.

Arguments: `app` ("" where none was proven), `environment`, `instance` (None where none was proven), `reason` (its
code), `record` (what the client was told), `method`, `route` (the rule's pattern) and `enforced`: False in a rehearsal.
Sent once the row of the record is committed, by the thread that writes records: no request waits for a receiver, but
a slow one delays the records behind it. What is dropped in a flood is not told."""

credential_bound: Final = Signal()
"""A user's credential was bound to a key: by a login, or by its first use.

Arguments: `app`, `environment`, `instance`, `kind`, `user` (as text, or None), `first_use`."""

credential_refused: Final = Signal()
"""A user's credential was refused, which may be a theft: it came from another phone, or without the proof it needs.

Arguments as `request_refused`, which is sent as well, and `kind` and `user`: whose credential it is, not who sent
it."""

keys_rotated: Final = Signal()
"""This process wrote new signing keys of an app: because the time had come, or because an operator replaced them.

Arguments: `app`, `environment`, `signs` and `next` (ids of the key that signs and of the one that follows it),
`compromised`: True where all keys of the app were replaced. Files and sealed rows are written by themselves, so it is
sent at once, inside whatever transaction the caller has. When the next key takes over nobody is told: all know the
time."""

value_changed: Final = Signal()
"""A secret or a value of the configuration was set, removed or erased. Never the value.

Arguments: `app`, `environment`, `change` (`value_set`, `value_removed`, `value_erased`), `kind` (`secret`, `sealed`,
`public`), `name`, `identity` ("" for all) and `by`."""

pins_published: Final = Signal()
"""The next version of an app's pins was published. Arguments: `app`, `environment`, `version`, `by`."""

document_delivered: Final = Signal()
"""An instance was given its secrets or its configuration: the delivery was counted, and the answer follows.

Arguments: `app`, `environment`, `instance`, `document` and `version`."""


def send_after_commit(signal: Signal, *, using: str, **arguments: Told) -> None:
    """Send `signal` once the transaction on the database `using` is committed, and never if it is not."""
    transaction.on_commit(lambda: send_now(signal, **arguments), using=using, robust=True)


def send_now(signal: Signal, **arguments: Told) -> None:
    """Send `signal` of what is done already. Nothing that a receiver raises comes back."""
    signal.send_robust(sender=None, **arguments)


def tell_enrolled(new: Registration, instance: str, *, again: bool, using: str) -> None:
    """Send `instance_enrolled` after the commit."""
    send_after_commit(
        instance_enrolled,
        using=using,
        app=new.app,
        environment=str(new.environment),
        instance=instance,
        identity=new.identity,
        platform=str(new.platform),
        tier=str(new.tier),
        evidence_environment=str(new.evidence_environment),
        again=again,
    )


def tell_renewed(renewal: Renewal, row: QuerySet[Instance], using: str) -> None:
    """Send `instance_renewed` after the commit. `row` selects the instance: what else is told of it is looked up."""
    if not instance_renewed.has_listeners():  # a query for nobody, on the way of every renewal
        return
    app, environment = row.values_list("app", "environment").get()
    send_after_commit(
        instance_renewed,
        using=using,
        app=app,
        environment=str(environment),
        instance=renewal.instance,
        tier=str(renewal.tier),
        asserted=renewal.counter is not None,
    )


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
