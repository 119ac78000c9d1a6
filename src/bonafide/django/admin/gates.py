"""Gates and broken glass, as they are. Both are changed by commands, whose words the audit keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils import timezone

from bonafide.codec import jwk
from bonafide.django.admin.facts import FactsAdmin
from bonafide.django.models import Opening, RegisteredGate

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@admin.register(RegisteredGate)
class RegisteredGateAdmin(FactsAdmin[RegisteredGate]):
    """The gates that may ask, and when they were answered last."""

    search_fields = ("name",)
    search_help_text = "The whole name."
    list_display = ("name", "audience", "environment", "last_asked_at", "registered_by", "registered_at", "retired_at")
    list_filter = ("environment",)
    ordering = ("name",)
    fields = (*list_display, "thumbprint")
    readonly_fields = ("thumbprint",)

    @admin.display(description="key")
    def thumbprint(self, row: RegisteredGate) -> str:
        """Name the key by its thumbprint."""
        return jwk.thumbprint(row.jwk)


@admin.register(Opening)
class OpeningAdmin(FactsAdmin[Opening]):
    """Routes whose glass was broken, newest first. The statement itself is not shown: it opens gates."""

    list_display = ("route", "stands", "until", "opened_by", "because", "opened_at", "closed_at", "environment")
    list_filter = ("environment",)
    ordering = ("-pk",)
    fields = list_display
    readonly_fields = ("stands",)

    @admin.display(description="stands now", boolean=True)
    def stands(self, row: Opening) -> bool:
        """Tell whether refusals on the route take no effect now."""
        return row.closed_at is None and row.until > timezone.now()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say on top whether anything is open."""
        standing = Opening.objects.filter(until__gt=timezone.now(), closed_at__isnull=True).count()
        title = f"{standing} standing now" if standing else "Nothing is open"
        return super().changelist_view(request, {**(extra_context or {}), "title": title})
