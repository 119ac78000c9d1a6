"""The service's own endpoints, which carry their own proof and so need no admission.

Rule of this file: a request is left to them because of the view that will run it, never because of its path.
The middleware asks the URLconf before, and is told by Django which view it is afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from django.urls import Resolver404, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

    View = TypeVar("View", bound=Callable[..., object])

ENDINGS: Final = ("/challenge", "/instances", "/renewals", "/jwks.json", "/gate", "/secrets", "/configuration", "/pins")
"""What the paths of service views end with, so that all others are spared a look into the URLconf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request to the service's own endpoints. It admits to nothing else."""


SERVICE: Final = ServiceRequest()

_VIEWS: Final[set[object]] = set()


def service_view(view: View) -> View:
    """Declare a view that verifies its callers itself. Only `bonafide.django.views.endpoint` does."""
    _VIEWS.add(view)
    return view


def is_service_view(view: object) -> bool:
    """Tell whether `view`, as Django resolved it, is one of them; one that was wrapped is not."""
    return view in _VIEWS


def serves_itself(request: HttpRequest) -> bool:
    """Tell whether the URLconf of this request leads to a service view."""
    if not request.path_info.endswith(ENDINGS):
        return False
    try:
        match = resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return False
    return is_service_view(match.func)
