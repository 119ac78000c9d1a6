"""Nginx in front of a gate: `auth_request`, and refusals made whole again.

    http.conf             once, in http { }
    upstream-NAME.conf    in the server { } of the upstream NAME
    tls.conf              in the same server { }, unless the site has a profile of its own

Rules of this file:
- The gate judges what Nginx received (`$request`, `$request_uri`), and the API is sent the same: no URI part in
  `proxy_pass`, one `location /`, no rewriting. Nginx matches locations on its own normal form of the path, so the
  snippet never lets a location decide what a request needs.
- `auth_request` stands at the level of the server: a location that the site adds is guarded unless it says otherwise.
- What the gate did not answer with 204 is a refusal. Nginx takes any 2xx for it; a gate says no other.
- Written for 1.22, which Debian 12 ships, and newer.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bonafide.gate.proxies import nginx_texts as texts
from bonafide.gate.proxies.front import GATE_HEADERS, MAX_SERVICE_BODY, SERVICE_PATHS
from bonafide.gate.proxies.patterns import line_of

if TYPE_CHECKING:
    from datetime import timedelta

    from bonafide.gate.proxies.front import Address, Front, Service, Site
    from bonafide.routes import Route

ADMIT: Final = "/_bonafide/admit"
"""The internal location that asks the gate; to clients it does not exist."""

TLS_PROFILES: Final = {"intermediate": "TLSv1.2 TLSv1.3", "modern": "TLSv1.3"}
"""The protocols of each profile. The suites of TLS 1.3 are the library's own."""

REFUSALS: Final = (400, 401, 403, 413, 429, 503)
"""What `Bonafide-Status` may say."""

_DOCUMENT: Final = (
    '{{"type":"about:blank","title":"{title}","status":{status},"action":"{action}","record":"{record}"}}'
)


def write_files(front: Front, *, profile: str = "intermediate") -> dict[str, str]:
    """Return the files by name; the module says where each goes. `profile` is one of `TLS_PROFILES`."""
    files = {"http.conf": http_level(front), "tls.conf": tls_level(profile)}
    return files | {file_of(site): server_level(front, site) for site in front.sites}


def file_of(site: Site) -> str:
    """Return the name of a site's file."""
    return f"upstream-{site.name}.conf"


def http_level(front: Front) -> str:
    """Return what stands once, in http { }: the gate's address, and the maps that all sites share."""
    parts = [texts.HTTP_LEVEL.replace("@GATE@", _server(front.gate))]
    if front.service is not None:
        server, paths = _server(front.service.address), _service_paths(front.service)
        parts.append(texts.SERVICE_LEVEL.format(server=server, paths=paths))
    parts += [_site_level(site) for site in front.sites]
    return "\n".join(parts)


def tls_level(profile: str) -> str:
    """Return the lines of a TLS profile: `intermediate` (1.2 and 1.3) or `modern` (1.3 alone: iOS 12.2, Android 10)."""
    return texts.TLS.replace("@PROFILE@", profile).replace("@PROTOCOLS@", TLS_PROFILES[profile])


def server_level(front: Front, site: Site) -> str:
    """Return what stands in the server { } of one upstream."""
    buffering = "off" if site.streams_bodies else "on"
    parts = [
        texts.SERVER_LEVEL.format(admit=ADMIT, max_body=_max_body(site), buffering=buffering)
        + (texts.DPOP if site.takes_dpop else ""),
        texts.ADMIT.format(admit=ADMIT, name=site.identifier, deadline=_time(front.deadline)),
        _api(site),
    ]
    if front.service is not None:
        parts.append(_service(front.service))
    return "\n".join([*parts, _refusals()])


def example_server(site: Site, directory: str) -> str:
    """Return a whole server { } around the snippet, for the operator to adapt. From 1.25.1 on it is `http2 on`."""
    tls = any(origin.scheme == "https" for origin in site.origins)
    listen = (
        "    listen 443 ssl http2;\n    listen [::]:443 ssl http2;" if tls else "    listen 80;\n    listen [::]:80;"
    )
    certificates = texts.CERTIFICATES.format(directory=directory) if tls else ""
    return texts.EXAMPLE.format(
        listen=listen,
        names=" ".join(site.server_names),
        certificates=certificates,
        directory=directory,
        file=file_of(site),
    )


def _server(address: Address) -> str:
    return f"unix:{address.path}" if address.path else address.authority


def _time(span: timedelta) -> str:
    return f"{span.total_seconds() * 1000:.0f}ms"


def _max_body(site: Site) -> str:
    if not site.takes_bodies:
        return "1"  # 0 would mean any size; the one octet is not handed on either
    return "0" if site.max_body is None else str(max(site.max_body, 1))


def _service_paths(service: Service) -> str:
    return f"~^{re.escape(service.prefix)}/(?:{'|'.join(SERVICE_PATHS)})(?:\\?|$)"


def _site_level(site: Site) -> str:
    hosts = "|".join(re.escape(host) for host in site.hosts)
    return texts.SITE_LEVEL.format(
        name=site.identifier,
        server=_server(site.backend),
        hosts=f"~*^(?:{hosts})$",
        upgrades="".join(_upgrade(route) for route in site.upgrading),
    )


def _upgrade(route: Route) -> str:
    value = "$bonafide_websocket" if route.upgrade else '""'
    return f'    "~{line_of(route)}" {value};\n'


def _api(site: Site) -> str:
    body = ("" if site.takes_bodies else texts.NO_BODY) + _tls_behind(site.backend)
    dropped = "\n".join(f'        proxy_set_header {name} "";' for name in GATE_HEADERS if name != "Bonafide-Admission")
    return texts.API.format(name=site.identifier, scheme=site.backend.scheme, body=body, dropped=dropped)


def _tls_behind(address: Address) -> str:
    return texts.TLS_BEHIND.format(host=address.host) if address.tls else ""


def _service(service: Service) -> str:
    dropped = "\n".join(f'        proxy_set_header {name} "";' for name in GATE_HEADERS)
    return texts.SERVICE.format(
        prefix=service.prefix,
        scheme=service.address.scheme,
        max_body=MAX_SERVICE_BODY,
        dropped=dropped,
        tls=_tls_behind(service.address),
    )


def _refusals() -> str:
    cases = "\n".join(_case(status) for status in REFUSALS if status != HTTPStatus.FORBIDDEN)
    return texts.REFUSALS.format(
        cases=cases,
        otherwise=_return(403, "$bonafide_action", "$bonafide_record"),
        too_large=_return(413, "give_up", "$request_id"),
        silent=_return(503, "back_off", "$request_id"),
    )


def _case(status: int) -> str:
    told = _return(status, "$bonafide_action", "$bonafide_record")
    return f"        if ($bonafide_status = {status}) {{\n            {told}\n        }}"


def _return(status: int, action: str, record: str) -> str:
    title = HTTPStatus(status).phrase
    return f"return {status} '{_DOCUMENT.format(title=title, status=status, action=action, record=record)}';"
