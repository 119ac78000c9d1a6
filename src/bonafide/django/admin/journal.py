"""What happened: refusals by their record id, what routes refuse or would refuse, and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin

from bonafide.django.admin.facts import FactsAdmin, explain
from bonafide.django.models import AuditEvent, ObservedRoute, Refusal

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


@admin.register(Refusal)
class RefusalAdmin(FactsAdmin[Refusal]):
    """Refusals, newest first; found by the record id that the client was told."""

    search_fields = ("id", "instance", "reason")
    search_help_text = "The whole record id (Bonafide-Record), instance id or reason code."
    list_display = ("id", "at", "reason", "method", "route", "app_version", "instance", "enforced")
    list_filter = ("enforced",)
    ordering = ("-at",)
    fields = (
        "id",
        "at",
        "reason",
        "meaning",
        "detail",
        "method",
        "route",
        "enforced",
        "app",
        "environment",
        "app_version",
        "instance",
    )
    readonly_fields = ("meaning",)

    @admin.display(description="what it means")
    def meaning(self, row: Refusal) -> str:
        """Explain the reason code."""
        return explain(row.reason)


class VerdictFilter(admin.SimpleListFilter):
    """What became of the requests."""

    title = "verdict"
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the three verdicts."""
        return [("would", "would be refused"), ("refused", "refused"), ("admitted", "admitted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ObservedRoute]) -> QuerySet[ObservedRoute]:
        """Apply the choice."""
        match self.value():
            case "would":
                return queryset.filter(enforced=False).exclude(reason="")
            case "refused":
                return queryset.filter(enforced=True).exclude(reason="")
            case "admitted":
                return queryset.filter(reason="")
            case _:
                return queryset


@admin.register(ObservedRoute)
class ObservedRouteAdmin(FactsAdmin[ObservedRoute]):
    """Counts per day, route, method, app version and reason: what enforcing would refuse."""

    list_display = ("day", "count", "verdict", "method", "route", "reason", "app_version", "last_seen")
    list_filter = (VerdictFilter, "route", "reason", "app_version", "method", "app")
    date_hierarchy = "day"
    ordering = ("-day", "-count")
    sortable_by: ClassVar[tuple[str, ...]] = list_display
    fields = (*list_display, "first_seen", "app", "environment", "meaning")
    readonly_fields = ("verdict", "meaning")

    @admin.display(description="verdict")
    def verdict(self, row: ObservedRoute) -> str:
        """Say what became of the requests."""
        if not row.reason:
            return "admitted"
        return "refused" if row.enforced else "would be refused"

    @admin.display(description="what it means")
    def meaning(self, row: ObservedRoute) -> str:
        """Explain the reason code."""
        return explain(row.reason)


@admin.register(AuditEvent)
class AuditEventAdmin(FactsAdmin[AuditEvent]):
    """Acts and events that somebody answers for, newest first."""

    search_fields = ("subject",)
    search_help_text = "The whole instance id, key or name."
    list_display = ("at", "kind", "subject", "actor", "app", "environment")
    list_filter = ("kind",)
    ordering = ("-pk",)
    fields = (*list_display, "detail")
