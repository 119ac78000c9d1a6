"""Acts that somebody answers for: the form that asks why, and the page between a list and the act."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.template.response import TemplateResponse
from django.utils import timezone

from bonafide.django.bans import Act

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.admin import ModelAdmin
    from django.db.models import Model
    from django.http import HttpRequest

_LASTS: Final = {
    "": ("for good", None),
    "1": ("a day", timedelta(days=1)),
    "7": ("a week", timedelta(days=7)),
    "30": ("30 days", timedelta(days=30)),
    "365": ("a year", timedelta(days=365)),
}


class LiftForm(forms.Form):
    """Why, in words that whoever looks later understands."""

    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3, "cols": 60}), help_text="Kept in the audit.")

    def act(self, request: HttpRequest) -> Act:
        """Return who does what was asked, why, and when."""
        now = timezone.now()
        lasts = _LASTS[self.cleaned_data.get("lasts", "")][1]
        return Act(
            reason=self.cleaned_data["reason"],
            by=actor(request),
            at=now,
            until=None if lasts is None else now + lasts,
        )


class BanForm(LiftForm):
    """Why, and for how long."""

    lasts = forms.ChoiceField(required=False, choices=[(key, words) for key, (words, _) in _LASTS.items()])


F = TypeVar("F", bound=LiftForm)


def actor(request: HttpRequest) -> str:
    """Return who is logged in at the console, as the audit names them."""
    return str(request.user)


def ask(
    request: HttpRequest,
    console: ModelAdmin[Any],
    *,
    action: str,
    question: str,
    subjects: Iterable[Model],
    kind: type[F],
) -> F | TemplateResponse:
    """Return the form once it is filled in, and until then the page that asks for it.

    The page posts to the list that the act was chosen on, so that one view, with its permissions, does both.
    """
    form = kind(request.POST if "confirmed" in request.POST else None)
    if form.is_valid():
        return form
    context = {
        **console.admin_site.each_context(request),
        "title": question,
        "opts": console.opts,
        "form": form,
        "action": action,
        "subjects": list(subjects),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/bonafide/act.html", context)
