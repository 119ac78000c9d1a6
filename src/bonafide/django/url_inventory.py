"""Every URL of the project, and which of them the route table has no rule for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.urls import get_resolver
from django.urls.resolvers import LocalePrefixPattern, URLPattern, URLResolver

from bonafide.django.service_routes import is_service_view
from bonafide.django.url_patterns import Spelling, Translation, Wild, join, spellings, translate
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bonafide.routes import RouteTable

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

_MAX_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """One URL pattern with a view.

    `written` is how the URLconf has it, `apps` the namespaces that it lies in, `forms` its translations; none where
    no canonical path leads to it.
    """

    written: str
    view: Callable[..., Any]
    name: str
    apps: tuple[str, ...]
    forms: tuple[Translation, ...]

    @property
    def module(self) -> str:
        """Where the view is defined."""
        return str(getattr(self.view, "__module__", ""))


def urls(urlconf: Any = None) -> tuple[Url, ...]:
    """Return every URL of the URLconf (default: ROOT_URLCONF), without the service's own endpoints."""
    mount = (*(settings.FORCE_SCRIPT_NAME or "").rstrip("/"), "/")
    found = _walk(get_resolver(urlconf).url_patterns, (mount,), "", ())
    return tuple(url for url in found if not is_service_view(url.view))


def uncovered(table: RouteTable, inventory: Iterable[Url]) -> tuple[Url, ...]:
    """Return the URLs of which some form matches no rule, whatever the method.

    A rule that covers some methods is a rule: the others are refused because somebody decided so.
    """
    return tuple(url for url in inventory if not all(_has_rule(table, form.sample) for form in url.forms))


def require_covered(table: RouteTable) -> None:
    """Refuse a table that leaves out a URL.

    Raises `ConfigurationError` (`configuration.route_uncovered`).
    """
    missing = [url.written for url in uncovered(table, urls())]
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        detail = f"no rule for {', '.join(missing[:_MAX_NAMED])}{more}; see manage.py bonafide_routes --missing"
        raise ConfigurationError(reasons.ROUTE_UNCOVERED, detail)


def _has_rule(table: RouteTable, path: str) -> bool:
    methods = {method for route in table for method in route.methods or METHODS}
    return any(table.match(method, path) is not None for method in methods)


def _walk(
    patterns: Iterable[URLPattern | URLResolver],
    before: tuple[Spelling, ...],
    written: str,
    apps: tuple[str, ...],
) -> Iterator[Url]:
    for entry in patterns:
        pattern: Any = entry.pattern
        here = written + ("<language>/" if isinstance(pattern, LocalePrefixPattern) else str(pattern))
        if isinstance(entry, URLResolver):
            inside = (*apps, entry.app_name) if entry.app_name else apps
            yield from _walk(entry.url_patterns, join(before, _prefix(pattern)), here, inside)
        else:
            forms = join(before, spellings(pattern.regex, last=True))
            translated = dict.fromkeys(found for form in forms if (found := translate(form)) is not None)
            yield Url(written=here, view=entry.callback, name=entry.name or "", apps=apps, forms=tuple(translated))


def _prefix(pattern: Any) -> tuple[Spelling, ...]:
    if isinstance(pattern, LocalePrefixPattern):
        prefixed: tuple[Spelling, ...] = ((Wild(slashes=False), "/"),)
        return prefixed if pattern.prefix_default_language else (*prefixed, ())
    return spellings(pattern.regex, last=False)
