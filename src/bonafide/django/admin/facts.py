"""Rows that are facts: the console shows them, finds them by what they are called, and changes none.

Rule of this package: no page runs a query that reads a whole table of instances or refusals, and none
shows a key, octets of evidence or a secret; digests are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.utils.functional import cached_property

from bonafide.reasons import by_code

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest

M = TypeVar("M", bound=Model)


def _generic(kind: type) -> type:
    """Let a class of Django's, which at run time is not generic, be named with its types."""
    return type(kind)(
        kind.__name__, (kind,), {"__class_getitem__": classmethod(lambda cls, _: cls), "__module__": __name__}
    )


MAX_LISTED: Final = 10_000
"""How far back lists reach: counting a hundred million rows to number pages would take minutes."""

if TYPE_CHECKING:
    P = TypeVar("P", bound=Model)

    class TypedAdmin(admin.ModelAdmin[M]):
        """Django's, generic as its types have it; likewise below."""

    class TypedTable(admin.TabularInline[M, P]):
        """Rows of `M` below one of `P`."""

    class TypedStack(admin.StackedInline[M, P]):
        """Forms of `M` below one of `P`."""

    class TypedForm(forms.ModelForm[M]):
        """A form for one row."""
else:
    TypedAdmin = _generic(admin.ModelAdmin)
    TypedTable = _generic(admin.TabularInline)
    TypedStack = _generic(admin.StackedInline)
    TypedForm = _generic(forms.ModelForm)


class NewestPages(Paginator):  # type: ignore[type-arg]  # Django's is not generic at run time
    """Pages of the newest rows."""

    @cached_property
    def count(self) -> int:
        """Count no further than the list reaches."""
        rows: Any = self.object_list
        return int(rows.order_by()[:MAX_LISTED].count())


class FactsAdmin(TypedAdmin[M]):
    """A model whose rows the console only shows. `search_fields` are columns that a search compares whole."""

    paginator = NewestPages
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by: ClassVar[tuple[str, ...]] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        """Find rows by a whole value: Django's own search would read every row."""
        return (self.find(queryset, search_term.strip()) if search_term.strip() else queryset), False

    def find(self, rows: QuerySet[M], term: str) -> QuerySet[M]:
        """Return the rows of which one of `search_fields` is `term`."""
        found = rows.none()
        for column in self.search_fields:
            found = found | rows.filter(**{column: term})
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows come from what happened."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Rows stay as they happened."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Rows go by retention."""
        return False


def digest(octets: bytes | memoryview | None) -> str:
    """Show a digest."""
    return "" if octets is None else bytes(octets).hex()


def explain(code: str) -> str:
    """Return what a reason code means, and what the operator may do."""
    reason = by_code().get(code)
    if reason is None:
        return ""
    parts = {"Honest cause": reason.honest_cause, "Likely attack": reason.likely_attack, "Remedy": reason.remedy}
    return " ".join([reason.meaning, *(f"{name}: {words}" for name, words in parts.items())])
