"""Django's requests as the core's `HttpRequest`, so that what was signed is what the view will see.

Rules of this file: what servers hand over is read by `server_interfaces`; here is what Django makes of it. The path
that must be the one that was signed is the one that Django routes, and the part below which a project is mounted
is the setting FORCE_SCRIPT_NAME.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIRequest

from bonafide import server_interfaces as interfaces
from bonafide.http import HttpRequest, Origins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from django.http import HttpRequest as DjangoRequest

    from bonafide.django.setting_forms import Network

_INVENTED_CONTENT_TYPE: Final = "text/plain"
_INVENTING_SERVER: Final = "WSGIServer/"  # wsgiref, hence runserver


def read_request(request: DjangoRequest, origins: Origins) -> HttpRequest:
    """Return what the client sent, as its signature must describe it. Proves nothing.

    Raises `MalformedEvidence` (`request.host_unknown`, `request.target_not_canonical`).
    """
    return HttpRequest(
        method=raw_method(request),
        target=raw_target(request),
        origin=origins.pick(request.META.get("HTTP_HOST")),
        headers=read_headers(request),
    )


def raw_method(request: DjangoRequest) -> str:
    """Return the method as it came: Django spells it in capitals, and `get` is not `GET`."""
    if isinstance(request, ASGIRequest):
        return str(request.scope["method"])
    return str(request.META["REQUEST_METHOD"])


def raw_target(request: DjangoRequest) -> str:
    """Return the request target; see `server_interfaces`.

    Raises `MalformedEvidence` (`request.target_not_canonical`) where it would not lead to the path that
    Django routes. Does not prove that it is canonical.
    """
    return interfaces.agreed_target(
        interfaces.raw_target_of_scope(request.scope)
        if isinstance(request, ASGIRequest)
        else interfaces.raw_target_of_environ(request.META),
        # A lone surrogate has no octets, and then differs from what was sent.
        request.path_info.encode("utf-8", "replace"),
        query=request.META.get("QUERY_STRING", ""),
        mounted=request.META.get("SCRIPT_NAME", ""),
        mount=(django_settings.FORCE_SCRIPT_NAME or "").rstrip("/"),
    )


def read_headers(request: DjangoRequest) -> dict[str, str]:
    """Return the header fields by lower-case name, several of one name joined by a comma (cookies by `; `)."""
    if isinstance(request, ASGIRequest):
        return interfaces.headers_of_scope(request.scope["headers"])
    headers = interfaces.headers_of_environ(request.META)
    if _content_type_is_invented(request.META, headers):
        del headers["content-type"]
    return headers


def _content_type_is_invented(environ: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Tell a Content-Type that wsgiref made up. The view sees the same one either way."""
    return (
        headers.get("content-type") == _INVENTED_CONTENT_TYPE
        and str(environ.get("SERVER_SOFTWARE", "")).startswith(_INVENTING_SERVER)
        and '"content-type"' not in headers.get("signature-input", "")
    )


def hide_client_claims(request: DjangoRequest, headers: Mapping[str, str] | None) -> None:
    """Take from the view what a client must not say, and show it the cookies that were judged.

    Every header whose name begins with `bonafide-`, `_` read as `-`, goes. HTTP/2 splits cookies into
    several fields, which Django joins by a comma and then misreads; the view gets what was signed.
    """
    meta = request.META
    for key in interfaces.claims_in_environ(meta):
        del meta[key]
    if not isinstance(request, ASGIRequest):
        return
    sent = request.scope["headers"]
    kept = interfaces.without_claims(sent)
    if len(kept) != len(sent):
        request.scope = {**request.scope, "headers": kept}
    if headers is not None and "cookie" in headers:
        meta["HTTP_COOKIE"] = headers["cookie"]


def client_address(meta: Mapping[str, Any], trusted: Collection[Network]) -> str:
    """Return the client's address: the peer's, or behind trusted proxies the last one that none of them is.

    It serves limits and ramps, and nothing that proves anything.
    """
    address = str(meta.get("REMOTE_ADDR") or "")
    named = str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if trusted else []
    forwarded = [part.strip() for part in named if part.strip()]
    while forwarded and _is_within(address, trusted):
        address = forwarded.pop()
    return address


def _is_within(address: str, networks: Collection[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address == ""  # a peer on a Unix socket has no address: it is a proxy of this host
    return any(parsed in network for network in networks)
