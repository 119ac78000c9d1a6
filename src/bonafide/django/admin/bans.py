"""Bans as they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages

from bonafide.django import bans
from bonafide.django.admin.acts import BanForm, LiftForm, ask
from bonafide.django.admin.facts import FactsAdmin, TypedForm
from bonafide.django.models import App, Ban, BanScope, Instance

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


class NewBanForm(TypedForm[Ban], BanForm):
    """A ban of one subject. An instance brings its keys along."""

    of = forms.ModelChoiceField(App.objects.all(), label="app", help_text="In which app and environment it holds.")

    class Meta:
        model = Ban
        fields = ("scope", "subject")

    def clean(self) -> dict[str, Any]:
        """Refuse an instance that the app does not have, here and not in a traceback."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        app, subject = cleaned.get("of"), cleaned.get("subject")
        if app is not None and subject and cleaned.get("scope") == BanScope.INSTANCE:
            known = Instance.objects.filter(pk=subject, app=app.name, environment=app.environment)
            if not known.exists():
                self.add_error("subject", "This app has no instance of that id.")
        return cleaned


@admin.register(Ban)
class BanAdmin(FactsAdmin[Ban]):
    """Bans, newest first. A ban is put and lifted, and never edited: the audit has the rest."""

    form = NewBanForm
    search_fields = ("subject", "instance")
    search_help_text = "The whole instance id, sign key thumbprint (jkt) or App Attest key id."
    list_display = ("subject", "scope", "app", "environment", "reason", "banned_by", "banned_at", "until")
    list_filter = ("scope", "environment")
    ordering = ("-pk",)
    actions = ("lift_selected",)
    fields = ("app", "environment", "scope", "subject", "instance", "reason", "banned_by", "banned_at", "until")

    def get_fields(self, request: HttpRequest, obj: Ban | None = None) -> Any:
        """Ask for a new ban's subject and reason; show a ban whole."""
        return ("of", "scope", "subject", "reason", "lasts") if obj is None else self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permission says: a ban is an act, not only a fact."""
        return bool(request.user.has_perm("bonafide.add_ban"))

    def has_lift_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete bans may lift them."""
        return bool(request.user.has_perm("bonafide.delete_ban"))

    def save_model(self, request: HttpRequest, obj: Ban, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Ban, with audit, keys and revision, and hand the row that came of it back."""
        act, app, subject = form.act(request), form.cleaned_data["of"], obj.subject
        if obj.scope == BanScope.INSTANCE:
            bans.ban_instance(subject, act)
        else:
            bans.ban_key(BanScope(obj.scope), subject, app=app.name, environment=app.environment, act=act)
        rows = Ban.objects.filter(app=app.name, environment=app.environment, scope=obj.scope, subject=subject)
        obj.pk = rows.order_by("-banned_at").values_list("pk", flat=True)[0]

    @admin.action(description="Lift selected bans…", permissions=["lift"])
    def lift_selected(self, request: HttpRequest, rows: QuerySet[Ban]) -> HttpResponse | None:
        """Lift bans, after asking why. Lifting one row of an instance's ban lifts them all."""
        form = ask(request, self, action="lift_selected", question="Lift these bans?", subjects=rows, kind=LiftForm)
        if not isinstance(form, LiftForm):
            return form
        for row in rows:
            bans.lift(row, form.act(request))
        self.message_user(request, "Lifted.", messages.SUCCESS)
        return None
