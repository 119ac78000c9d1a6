"""Django's requests as the core's `HttpRequest`, so that what was signed is what the view will see.

Rules of this file:
- Headers come from what the server put into `environ` or `scope`; names with `_` are dropped where they can
  be told from `-` (ASGI). Under WSGI dropping them is the server's part, and the view reads what was judged.
- The target is the raw one where the server shows it, else the decoded path in its one canonical spelling.
  Either way it must decode to the path that Django routes, or the request is refused: a server, a
  proxy's header or a middleware that moves paths about cannot make one path be signed and another be run.
- The part below which a project is mounted is the setting FORCE_SCRIPT_NAME. One that comes with the request
  is refused, because gunicorn takes it from a header of any peer it trusts.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIRequest

from bonafide.errors import MalformedEvidence
from bonafide.http import HttpRequest, Origins, encode_target
from bonafide.reasons import request as reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from django.http import HttpRequest as DjangoRequest

    from bonafide.django.setting_forms import Network

CLIENT_HEADERS_REFUSED: Final = "bonafide-"
"""What begins so is said by a gate, and never by a client: dropped before the view (PROTOCOL section 7)."""

_META_REFUSED: Final = "HTTP_BONAFIDE_"
_RAW_TARGETS: Final = ("RAW_URI", "REQUEST_URI")  # gunicorn; uWSGI, mod_wsgi, Werkzeug. No header is called so.
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
    """Return the request target; see the rules of this file.

    Raises `MalformedEvidence` (`request.target_not_canonical`) where it would not lead to the path that
    Django routes. Does not prove that it is canonical.
    """
    mount = (django_settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    if request.META.get("SCRIPT_NAME", "").rstrip("/") != mount:
        raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL, "SCRIPT_NAME is not the setting FORCE_SCRIPT_NAME")
    raw = _raw_target_of_scope(request) if isinstance(request, ASGIRequest) else _raw_target_of_environ(request.META)
    # A lone surrogate has no octets, and then differs from what was sent.
    routed = request.path_info.encode("utf-8", "replace")
    query = request.META.get("QUERY_STRING", "")
    if raw is None:
        return encode_target(mount.encode() + routed, query)
    raw_path, _, raw_query = raw.partition("?")
    sent = unquote_to_bytes(raw_path)
    if raw_query == query:
        if sent == mount.encode() + routed:
            return raw
        if sent == routed:  # the proxy in front took the mount off
            return encode_target(mount.encode(), "") + raw
    raise MalformedEvidence(reasons.TARGET_NOT_CANONICAL, "Django would route another path")


def _raw_target_of_environ(environ: Mapping[str, Any]) -> str | None:
    for name in _RAW_TARGETS:
        raw = environ.get(name)
        if raw:
            return str(raw)
    return None


def _raw_target_of_scope(request: ASGIRequest) -> str | None:
    raw_path: bytes | None = request.scope.get("raw_path")
    if not raw_path:
        return None
    query: str = request.META["QUERY_STRING"]
    return raw_path.decode("latin-1") + (f"?{query}" if query else "")


def read_headers(request: DjangoRequest) -> dict[str, str]:
    """Return the header fields by lower-case name, several of one name joined by a comma (cookies by `; `)."""
    if isinstance(request, ASGIRequest):
        return _headers_of_scope(request)
    environ = request.META
    headers = {name: value for key, value in environ.items() if key.startswith("HTTP_") and (name := _header_name(key))}
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if value := environ.get(key):  # servers say '' where there is none
            headers[name] = value
    if _content_type_is_invented(environ, headers):
        del headers["content-type"]
    return headers


@lru_cache(maxsize=512)
def _header_name(key: str) -> str:
    name = key.removeprefix("HTTP_").replace("_", "-").lower()
    return "" if name in {"content-type", "content-length"} else name  # Content_Type, from a server that lets `_` in


def _content_type_is_invented(environ: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Tell a Content-Type that wsgiref made up. The view sees the same one either way."""
    return (
        headers.get("content-type") == _INVENTED_CONTENT_TYPE
        and str(environ.get("SERVER_SOFTWARE", "")).startswith(_INVENTING_SERVER)
        and '"content-type"' not in headers.get("signature-input", "")
    )


def _headers_of_scope(request: ASGIRequest) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if "_" in name:
            continue
        if name in headers:
            value = headers[name] + ("; " if name == "cookie" else ",") + value
        headers[name] = value
    return headers


def hide_client_claims(request: DjangoRequest, headers: Mapping[str, str] | None) -> None:
    """Take from the view what a client must not say, and show it the cookies that were judged.

    Every header whose name begins with `bonafide-`, `_` read as `-`, goes. HTTP/2 splits cookies into
    several fields, which Django joins by a comma and then misreads; the view gets what was signed.
    """
    meta = request.META
    for key in [key for key in meta if key.startswith(_META_REFUSED)]:
        del meta[key]
    if not isinstance(request, ASGIRequest):
        return
    refused = CLIENT_HEADERS_REFUSED.encode()
    sent = request.scope["headers"]
    kept = [(name, value) for name, value in sent if not name.lower().replace(b"_", b"-").startswith(refused)]
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
