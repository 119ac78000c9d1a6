"""Secrets and configuration, which are set here and never shown again; who was given them; and published pins.

Rule of this file: the value of a form goes to `values.set_value` and nowhere else. It is in no page, message, history
or report of an error; what is sealed has no page that opens it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from bonafide.django import conf
from bonafide.django.admin.acts import actor
from bonafide.django.admin.facts import FactsAdmin, TypedForm
from bonafide.django.documents import pins, values
from bonafide.django.documents.values import NewValue
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, AppValue, Delivery, PublishedPins, ValueKind
from bonafide.django.models.documents import TIERS
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.terms import Tier

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse


class WriteOnly(forms.Textarea):
    """A field whose value is never written back into a page, also not beside the error that it caused."""

    def format_value(self, value: Any) -> None:
        """Show nothing."""
        del value


class ValueForm(TypedForm[AppValue]):
    """A value to set, as a new version."""

    app_name = forms.ModelChoiceField(queryset=App.objects.none(), label="app")
    value = forms.CharField(
        widget=WriteOnly(attrs={"rows": 6, "cols": 80, "autocomplete": "off", "spellcheck": "false"}),
        strip=False,
        help_text='Not shown again. A secret is a text; configuration is JSON: true, 20, "blue".',
    )
    tier = forms.ChoiceField(choices=[(str(tier), str(tier)) for tier in TIERS], help_text="For public values: none.")

    class Meta:
        model = AppValue
        fields = ("kind", "name", "identity", "tier")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "app_name" in self.fields:  # a row that is looked at has no form
            self.fields["app_name"].queryset = App.objects.filter(environment=conf.current().environment)  # type: ignore[attr-defined]  # Django's field has it

    def new_value(self) -> NewValue:
        """Return what was asked for. Raises `ValidationError` for text that is no JSON where JSON is wanted."""
        given, kind = self.cleaned_data, ValueKind(self.cleaned_data["kind"])
        text = given["value"].replace("\r\n", "\n")
        return NewValue(
            kind=kind,
            name=given["name"],
            value=text if kind is ValueKind.SECRET else values.parse_json(text),
            identity=given["identity"] or "",
            tier=Tier(given["tier"]),
        )


@admin.register(AppValue)
class AppValueAdmin(FactsAdmin[AppValue]):
    """Every version of every value, newest first. Rows stay as they were set."""

    form = ValueForm
    search_fields = ("name", "app")
    search_help_text = "The whole name of a value or an app."
    list_display = ("name", "kind", "app", "whom", "tier", "version", "set_at", "set_by", "ended_at", "ended_by")
    list_filter = ("kind", "environment")
    ordering = ("-pk",)
    actions = ("remove_selected",)
    fields = (*list_display, "environment", "ended_version", "state", "public")
    readonly_fields = ("whom", "state")

    @admin.display(description="for")
    def whom(self, row: AppValue) -> str:
        """Name the identity."""
        return row.identity or "all identities"

    @admin.display(description="octets")
    def state(self, row: AppValue) -> str:
        """Tell where the value is, and not what."""
        return "sealed" if row.sealed is not None else "public" if row.public else "erased"

    def get_fields(self, request: HttpRequest, obj: AppValue | None = None) -> Any:
        """Ask for a new value; show a row without it."""
        return ("app_name", "kind", "name", "identity", "tier", "value") if obj is None else self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        """As the permission says."""
        return bool(request.user.has_perm("bonafide.add_appvalue"))

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Whoever may delete values may end them."""
        return bool(request.user.has_perm("bonafide.delete_appvalue"))

    @method_decorator(sensitive_post_parameters("value"))
    @method_decorator(sensitive_variables())
    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Have the key at hand before Django's transaction begins, which must not make one."""
        if request.method == "POST":
            request.document_key = KeySources(conf.current()).document_key()  # type: ignore[attr-defined]  # ours
        return super().changeform_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Nothing: `get_form` has set the value, where an error can still be shown in the form."""

    def get_form(self, request: HttpRequest, obj: AppValue | None = None, change: bool = False, **options: Any) -> Any:  # noqa: FBT001, FBT002 - Django's
        """Return a form that sets its value as the last thing that it does when it is found good."""
        kind = super().get_form(request, obj, change, **options)
        return kind if obj is not None else type("SettingForm", (_Setting, kind), {"request": request})

    @admin.action(description="Remove selected values", permissions=["remove"])
    def remove_selected(self, request: HttpRequest, rows: QuerySet[AppValue]) -> None:
        """End values now."""
        ended = 0
        apps = {app.name: app for app in App.objects.filter(environment=conf.current().environment)}
        for row in rows.filter(ended_version=None, environment=conf.current().environment):
            ended += values.remove(
                apps[row.app],
                ValueKind(row.kind),
                row.name,
                identity=row.identity,
                by=actor(request),
                now=timezone.now(),
            )
        messages.success(request, f"{ended} removed. Apps that have a secret keep it: change it where it is used.")


class _Setting:
    """The part of a form that acts: refusals of `set_value` stand beside the field, and nothing is half done."""

    request: HttpRequest
    cleaned_data: dict[str, Any]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # of Django's form, which it is mixed into
        if self.errors:  # type: ignore[attr-defined]  # likewise
            return
        try:
            row = values.set_value(
                self.cleaned_data["app_name"],
                self.new_value(),  # type: ignore[attr-defined]  # likewise
                key=self.request.document_key,  # type: ignore[attr-defined]  # `changeform_view` has put it there
                by=actor(self.request),
                now=timezone.now(),
            )
        except (ValidationError, ConfigurationError, VerificationFailed) as error:
            words = error.messages if isinstance(error, ValidationError) else [error.detail]
            self.add_error("value", words)  # type: ignore[attr-defined]  # likewise
        else:
            self.instance = row


@admin.register(Delivery)
class DeliveryAdmin(FactsAdmin[Delivery]):
    """Which instance was given which version, and how often."""

    search_fields = ("instance",)
    search_help_text = "The whole instance id."
    list_display = ("instance", "document", "version", "count", "first_at", "last_at", "app", "environment")
    list_filter = ("document",)
    ordering = ("-pk",)
    fields = list_display


@admin.register(PublishedPins)
class PublishedPinsAdmin(FactsAdmin[PublishedPins]):
    """Pins as they were published, newest first. They are published by a command, which asks the hosts."""

    list_display = ("app", "version", "named", "published_at", "published_by", "expires_at", "environment")
    list_filter = ("environment",)
    ordering = ("-pk",)
    fields = (*list_display, "hosts")
    readonly_fields = ("named",)

    @admin.display(description="hosts")
    def named(self, row: PublishedPins) -> str:
        """Name the hosts."""
        return ", ".join(row.hosts) or "none"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Say on top what ends soon."""
        now = timezone.now()
        due = [ending.words(now) for ending in pins.due(conf.current().environment, now)]
        title = "; ".join(due) or "Nothing ends within 30 days"
        return super().changelist_view(request, {**(extra_context or {}), "title": title})
