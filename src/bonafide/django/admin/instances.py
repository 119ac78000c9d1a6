"""Instances: what they showed, what was made of it, and whether they are banned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode

from bonafide.django import bans
from bonafide.django.admin.acts import BanForm, LiftForm, ask
from bonafide.django.admin.facts import FactsAdmin, TypedTable, digest
from bonafide.django.models import AttestKey, Ban, BanScope, EvidenceRecord, Instance, SignKey
from bonafide.terms import Tier

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString


def standing_bans() -> Exists:
    """Select, for a row of `Instance`, whether a ban of it stands."""
    bans = Ban.objects.filter(Ban.stands(timezone.now()), scope=BanScope.INSTANCE, subject=OuterRef("pk"))
    return Exists(bans)


class BannedFilter(admin.SimpleListFilter):
    """Instances that are banned, or not."""

    title = "banned"
    parameter_name = "banned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer yes and no."""
        return [("yes", "yes"), ("no", "no")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Instance]) -> QuerySet[Instance]:
        """Apply the choice."""
        if self.value() == "yes":
            return queryset.filter(standing_bans())
        return queryset.filter(~standing_bans()) if self.value() == "no" else queryset


class TierFilter(admin.SimpleListFilter):
    """Instances of a tier. The choices are the vocabulary, not a query for what occurs."""

    title = "tier"
    parameter_name = "tier"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every tier."""
        return [(tier, tier) for tier in Tier]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Instance]) -> QuerySet[Instance]:
        """Apply the choice."""
        return queryset.filter(tier=self.value()) if self.value() else queryset


class EvidenceInline(TypedTable[EvidenceRecord, Instance]):
    """What the instance showed at each enrolment, by digests."""

    model = EvidenceRecord
    fields = ("verified_at", "format", "evidence_environment", "tier", "warnings", "claims", "evidence_sha256", "kept")
    readonly_fields = fields
    ordering = ("-verified_at",)
    extra = 0
    max_num = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows stay as they happened."""
        return False

    @admin.display(description="SHA-256 of the evidence")
    def evidence_sha256(self, row: EvidenceRecord) -> str:
        """Show the digest."""
        return digest(row.evidence_digest)

    @admin.display(description="octets kept until")
    def kept(self, row: EvidenceRecord) -> str:
        """Show when the octets go, or that they are gone."""
        return "digests only" if row.retain_until is None else f"{row.retain_until:%Y-%m-%d}"


@admin.register(Instance)
class InstanceAdmin(FactsAdmin[Instance]):
    """Instances, newest enrolment first; found by id, `jkt` or App Attest key id."""

    search_fields = ("id",)
    search_help_text = "The whole instance id, sign key thumbprint (jkt) or App Attest key id."
    list_display = ("id", "banned", "tier", "app_version", "verified_at", "identity", "app", "environment")
    list_filter = (BannedFilter, TierFilter)
    ordering = ("-verified_at",)
    actions = ("ban_selected", "lift_selected")
    inlines = (EvidenceInline,)
    change_form_template = "admin/bonafide/instance.html"
    fieldsets = (
        (None, {"fields": ("id", "app", "environment", "identity", "platform", "bans", "story")}),
        ("Verdict", {"fields": ("tier", "warnings", "format", "evidence_environment", "claims")}),
        ("Versions", {"fields": ("app_version", "os_version", "sdk_version")}),
        ("Keys", {"fields": ("jkt", "attest_keys", "counter")}),
        ("Times", {"fields": ("enrolled_at", "verified_at", "asserted_at", "renewed_at")}),
    )
    readonly_fields = ("bans", "story", "attest_keys")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Instance]:
        """Look bans up with the rows."""
        return super().get_queryset(request).annotate(_banned=standing_bans())

    def find(self, rows: QuerySet[Instance], term: str) -> QuerySet[Instance]:
        """Find by keys too, those of the past included."""
        of_jkt = SignKey.objects.filter(jkt=term).values("instance")
        of_key_id = AttestKey.objects.filter(key_id=term).values("instance")
        return rows.filter(pk=term) | rows.filter(pk__in=of_jkt) | rows.filter(pk__in=of_key_id)

    def has_ban_permission(self, request: HttpRequest) -> bool:
        """Whoever may add bans may ban."""
        return bool(request.user.has_perm("bonafide.add_ban"))

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete bans may lift them."""
        return bool(request.user.has_perm("bonafide.delete_ban"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer the acts on the page of one instance, too."""
        allowed = self.get_actions(request)
        offered = [
            (name, words)
            for name, words in (("ban_selected", "Ban…"), ("lift_selected", "Lift ban…"))
            if name in allowed
        ]
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "console_actions": offered})

    @admin.action(description="Ban selected instances…", permissions=["ban"])
    def ban_selected(self, request: HttpRequest, rows: QuerySet[Instance]) -> HttpResponse | None:
        """Ban, after asking why and for how long."""
        form = ask(request, self, action="ban_selected", question="Ban these instances?", subjects=rows, kind=BanForm)
        if not isinstance(form, BanForm):
            return form
        for row in rows:
            bans.ban_instance(row.pk, form.act(request))
        self.message_user(request, f"{len(rows)} banned. Gates know within seconds.", messages.SUCCESS)
        return None

    @admin.action(description="Lift the bans of selected instances…", permissions=["lift"])
    def lift_selected(self, request: HttpRequest, rows: QuerySet[Instance]) -> HttpResponse | None:
        """Lift bans, after asking why."""
        form = ask(request, self, action="lift_selected", question="Lift these bans?", subjects=rows, kind=LiftForm)
        if not isinstance(form, LiftForm):
            return form
        for ban in Ban.objects.filter(scope=BanScope.INSTANCE, subject__in=[row.pk for row in rows]):
            bans.lift(ban, form.act(request))
        self.message_user(request, "Lifted. Keys that were banned by themselves stay banned.", messages.SUCCESS)
        return None

    @admin.display(description="banned", boolean=True)
    def banned(self, row: Any) -> bool:
        """Show whether a ban stands."""
        return bool(row._banned)  # noqa: SLF001 - the annotation of `get_queryset`

    @admin.display(description="bans")
    def bans(self, row: Instance) -> SafeString | str:
        """Show the bans of the instance and of its keys."""
        subjects = [row.pk, row.jkt, *row.attest_keys.values_list("key_id", flat=True)]
        found = Ban.objects.filter(Ban.stands(timezone.now()), subject__in=subjects, app=row.app)
        lines = [
            (
                ban.get_scope_display(),
                ban.reason,
                ban.banned_by,
                f"{ban.until:%Y-%m-%d %H:%M}" if ban.until else "for good",
            )
            for ban in found.filter(environment=row.environment).order_by("pk")
        ]
        return format_html_join("\n", "<p>{}: {} ({}, {})</p>", lines) or "none"

    @admin.display(description="its story")
    def story(self, row: Instance) -> SafeString:
        """Link to what was refused and done."""
        query = urlencode({"q": row.pk})
        return format_html(
            '<a href="{}?{}">refusals</a>, <a href="{}?{}">audit</a>',
            reverse("admin:bonafide_refusal_changelist"),
            query,
            reverse("admin:bonafide_auditevent_changelist"),
            query,
        )

    @admin.display(description="App Attest keys")
    def attest_keys(self, row: Instance) -> SafeString | str:
        """Show the ids of the keys that it holds and held."""
        keys = row.attest_keys.order_by("-enrolled_at")
        lines = [
            (key.key_id, "current" if key.superseded_at is None else f"superseded {key.superseded_at:%Y-%m-%d %H:%M}")
            for key in keys
        ]
        return format_html_join("\n", "<p><code>{}</code> {}</p>", lines) or "none"
