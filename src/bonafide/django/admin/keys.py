"""The keys of each app as they stand: ids, states and times, and no octet of a key.

Keys rotate by themselves. There is no button that replaces stolen ones: `bonafide_keys rotate APP --compromised` is not
done before every process was restarted, which no page can do, so whoever pressed a button would believe in an end that
had not come. And whoever steals an operator's browser session could put all apps through a renewal by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from bonafide.django import conf, key_facts
from bonafide.django.admin.facts import FactsAdmin
from bonafide.django.models import KeySet
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.stores.key_storage import StorageSilent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

    from bonafide.django.key_facts import KeyFacts

_UNREADABLE = (ConfigurationError, VerificationFailed, StorageSilent)


@admin.register(KeySet)
class KeySetAdmin(FactsAdmin[KeySet]):
    """The apps of this environment, and the keys of each."""

    search_fields = ("name",)
    search_help_text = "The whole name of the app."
    list_display = ("name", "environment", "title")
    list_display_links = ("name",)
    ordering = ("name",)
    fields = ("name", "environment", "service_keys", "signing_keys", "gate_keys", "rotation")
    readonly_fields = ("service_keys", "signing_keys", "gate_keys", "rotation")

    def get_queryset(self, request: HttpRequest) -> QuerySet[KeySet]:
        """Select the apps of this environment: a service reads no other's keys."""
        return super().get_queryset(request).filter(environment=conf.current().environment)

    @admin.display(description="service keys")
    def service_keys(self, row: KeySet) -> SafeString | str:
        """Show the two thumbprints that an app is built with."""
        try:
            found = key_facts.of_service(conf.current())
        except _UNREADABLE as error:
            return _unreadable(error)
        if found is None:
            return "none yet"
        return format_html("<p><code>{}</code> signs sessions</p><p><code>{}</code> is its spare</p>", *found)

    @admin.display(description="signing keys")
    def signing_keys(self, row: KeySet) -> SafeString | str:
        """Show what signs client attestations, signed them and will sign them."""
        try:
            found = key_facts.of_app(conf.current(), row.name, timezone.now()).signing
        except _UNREADABLE as error:
            return _unreadable(error)
        return _lines(found)

    @admin.display(description="gate keys")
    def gate_keys(self, row: KeySet) -> SafeString | str:
        """Show the keys of each audience and day."""
        try:
            found = key_facts.of_app(conf.current(), row.name, timezone.now()).gate
        except _UNREADABLE as error:
            return _unreadable(error)
        return _lines(found)

    @admin.display(description="rotation")
    def rotation(self, row: KeySet) -> SafeString:
        """Say why there is no button."""
        command = f"bonafide_keys rotate {row.name} --compromised"
        return format_html(
            "Keys rotate by themselves. Stolen ones are replaced on a host, by <code>{}</code> and a restart of "
            "every process: until then processes accept what the old keys signed.",
            command,
        )


def _lines(keys: Iterable[KeyFacts]) -> SafeString | str:
    rows = [(key.kid, key.state, key.audience and f" for {key.audience}", _time(key.begins), _end(key)) for key in keys]
    return format_html_join("\n", "<p><code>{}</code> {}{}, begins {}{}</p>", rows) or "none yet"


def _end(key: KeyFacts) -> str:
    if key.retires is None or key.erased is None:
        return ", until another follows it"
    return f", retires {_time(key.retires)}, erased {_time(key.erased)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _unreadable(error: Exception) -> str:
    return f"cannot be read: {error}"
