"""Apps with their identities and policy, and debug secrets."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.template.response import TemplateResponse
from django.utils import timezone

from bonafide.django import conf, debug_secrets
from bonafide.django.admin.acts import actor
from bonafide.django.admin.facts import FactsAdmin, TypedAdmin, TypedForm, TypedStack
from bonafide.django.models import App, DebugSecret, Identity
from bonafide.terms import Environment

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


class IdentityInline(TypedStack[Identity, App]):
    """The signed forms of the app, and what is demanded of each."""

    model = Identity
    extra = 0
    fieldsets = (
        (None, {"fields": ("name", "platform")}),
        (
            "What its instances must show",
            {
                "fields": (
                    "environments",
                    "validation_categories",
                    "validation_category_required",
                    "unattested",
                    ("minimum_app_version", "minimum_os_version", "minimum_sdk_version"),
                    ("evidence_max_age", "reattest_after"),
                )
            },
        ),
    )


@admin.register(App)
class AppAdmin(TypedAdmin[App]):
    """Apps. The name and the environment are in every row and in every token, and never change."""

    list_display = ("name", "environment", "title", "audience")
    list_filter = ("environment",)
    search_fields = ("name", "title")
    fields = ("name", "environment", "title", "audience", "other_audiences")
    inlines = (IdentityInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: App | None = None) -> Any:
        """Fix what rows and tokens refer to."""
        return () if obj is None else ("name", "environment")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the environment of this service: it reads no other's apps."""
        return {"environment": conf.current().environment, **super().get_changeform_initial_data(request)}


class DebugSecretForm(TypedForm[DebugSecret]):
    """Whose secret, and for how long."""

    days = forms.IntegerField(
        min_value=1, max_value=debug_secrets.MAX_LIFE.days, initial=30, help_text="After that it ends by itself."
    )

    class Meta:
        model = DebugSecret
        fields = ("app", "name")


@admin.register(DebugSecret)
class DebugSecretAdmin(FactsAdmin[DebugSecret]):
    """Debug secrets: made, shown once, revoked. There are none in production."""

    form = DebugSecretForm
    list_display = ("name", "app", "created_by", "created_at", "expires_at", "revoked_at")
    list_filter = ("app",)
    list_select_related = ("app",)
    actions = ("revoke_selected",)
    fields = ("app", "name", "created_by", "created_at", "expires_at", "revoked_at")

    def get_fields(self, request: HttpRequest, obj: DebugSecret | None = None) -> Any:
        """Ask for a new secret's name and life; show a secret's row without it."""
        return ("app", "name", "days") if obj is None else self.fields

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Offer the apps of this service's environment, none in production."""
        environment = conf.current().environment
        apps = App.objects.filter(environment=environment).exclude(environment=Environment.PRODUCTION)
        return super().formfield_for_foreignkey(db_field, request, **options | {"queryset": apps})

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permission says, where there may be any."""
        allowed = conf.current().environment is not Environment.PRODUCTION
        return allowed and bool(request.user.has_perm("bonafide.add_debugsecret"))

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete secrets may end them."""
        return bool(request.user.has_perm("bonafide.delete_debugsecret"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Create the secret, with its audit record."""
        now = timezone.now()
        obj.shown_once = debug_secrets.create(
            obj.app,
            obj.name,
            by=actor(request),
            now=now,
            expires_at=now + timedelta(days=form.cleaned_data["days"]),
            random=secrets.token_bytes,
        )
        obj.pk = DebugSecret.objects.values_list("pk", flat=True).get(app=obj.app, name=obj.name)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secret, in this one answer: a message would pass through a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "title": "Debug secret created",
            "opts": self.opts,
            "name": obj.name,
            "secret": obj.shown_once,
        }
        return TemplateResponse(request, "admin/bonafide/debug_secret.html", context)

    @admin.action(description="Revoke selected secrets", permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, rows: QuerySet[DebugSecret]) -> None:
        """End secrets now."""
        for row in rows.select_related("app"):
            debug_secrets.revoke(row, by=actor(request), now=timezone.now())
        self.message_user(request, "Revoked.", messages.SUCCESS)
