"""Nginx in front of a gate: `auth_request`, and refusals made whole again.

    http.conf             once, in http { }
    upstream-NAME.conf    in the server { } of the upstream NAME
    tls.conf              in the same server { }, unless the site has a profile of its own

Rules of this file:
- The gate judges what Nginx received (`$request`, `$request_uri`), and the API is sent the same: no URI part in
  `proxy_pass`, one `location /`, no rewriting. Nginx matches locations on its own normal form of the path, so the
  snippet never lets a location decide what a request needs.
- `auth_request` stands at the level of the server: a location that the site adds is guarded unless it says otherwise.
- What is not known to be the gate's answer is a refusal.
- Written for 1.22, which Debian 12 ships, and newer.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

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
    parts = [_HTTP_LEVEL.replace("@GATE@", _server(front.gate))]
    if front.service is not None:
        parts.append(_SERVICE_LEVEL.format(server=_server(front.service.address), paths=_service_paths(front.service)))
    parts += [_site_level(site) for site in front.sites]
    return "\n".join(parts)


def tls_level(profile: str) -> str:
    """Return the lines of a TLS profile: `intermediate` (1.2 and 1.3) or `modern` (1.3 alone: iOS 12.2, Android 10)."""
    return _TLS.replace("@PROFILE@", profile).replace("@PROTOCOLS@", TLS_PROFILES[profile])


def server_level(front: Front, site: Site) -> str:
    """Return what stands in the server { } of one upstream."""
    parts = [
        _SERVER_LEVEL.format(admit=ADMIT, max_body=_max_body(site), buffering="off" if site.streams_bodies else "on"),
        _ADMIT.format(admit=ADMIT, name=site.identifier, deadline=_time(front.deadline)),
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
    certificates = _CERTIFICATES.format(directory=directory) if tls else ""
    return _EXAMPLE.format(
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
    return _SITE_LEVEL.format(
        name=site.identifier,
        server=_server(site.backend),
        hosts=f"~*^(?:{hosts})$",
        upgrades="".join(_upgrade(route) for route in site.upgrading),
    )


def _upgrade(route: Route) -> str:
    value = "$http_upgrade" if route.upgrade else '""'
    return f'    "~{line_of(route)}" {value};\n'


def _api(site: Site) -> str:
    body = "" if site.takes_bodies else _NO_BODY
    dropped = "\n".join(f'        proxy_set_header {name} "";' for name in GATE_HEADERS if name != "Bonafide-Admission")
    return _API.format(name=site.identifier, scheme=site.backend.scheme, body=body, dropped=dropped)


def _service(service: Service) -> str:
    dropped = "\n".join(f'        proxy_set_header {name} "";' for name in GATE_HEADERS)
    return _SERVICE.format(
        prefix=service.prefix, scheme=service.address.scheme, max_body=MAX_SERVICE_BODY, dropped=dropped
    )


def _refusals() -> str:
    cases = "\n".join(_case(status) for status in REFUSALS if status != HTTPStatus.FORBIDDEN)
    return _REFUSALS.format(
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


_HTTP_LEVEL: Final = """\
# Written by `bonafide nginx`. Include it once, in http { }.

# Two of these are Nginx's own defaults: the site is not to change them. Nginx reads headers before it knows which
# server { } is meant, so that they belong here.
underscores_in_headers off;              # `Bonafide_Admission` never arrives
ignore_invalid_headers on;
large_client_header_buffers 4 16k;       # a field of 8 KiB with its name, and a target of 8 KiB

upstream bonafide_gate {
    server @GATE@;
    keepalive 32;
    keepalive_requests 100000;
    keepalive_timeout 20s;
}

# The target as it stood on the request line. $request_uri is without the scheme and host of an absolute-form target,
# and such a target is refused.
map $request $bonafide_target {
    default "-";
    "~^[A-Z]+ (?<bonafide_sent>[^ ]+) HTTP/[0-9.]+$" $bonafide_sent;
}

# What a refusal says, in the forms that it may have; another form is not repeated to anybody.
map $bonafide_said_action $bonafide_action {
    default give_up;
    "~^[a-z_]{1,32}$" $bonafide_said_action;
}
map $bonafide_said_record $bonafide_record {
    default $request_id;
    "~^[A-Za-z0-9_-]{1,64}$" $bonafide_said_record;
}
map $bonafide_said_retry $bonafide_retry {
    default "";
    "~^[0-9]{1,6}$" $bonafide_said_retry;
}

# A gate that is away sends all clients back at once; not to the same second.
split_clients $request_id $bonafide_pause {
    12.5% 2;
    12.5% 3;
    12.5% 4;
    12.5% 5;
    12.5% 6;
    12.5% 7;
    12.5% 8;
    *     9;
}

log_format bonafide '$remote_addr [$time_iso8601] "$request_method $uri" $status $bonafide_status '
                    '$bonafide_said_record $request_id $request_time';
"""

_SERVICE_LEVEL: Final = """\
upstream bonafide_service {{
    server {server};
}}

# What the service says to the public, spelled plainly. What it tells gates is not among it.
map $bonafide_target $bonafide_service_path {{
    default 0;
    "{paths}" 1;
}}
"""

_SITE_LEVEL: Final = """\
upstream bonafide_{name} {{
    server {server};
}}

# A Host that names another API, or none, names none here: the gate refuses it.
map $http_host $bonafide_host_{name} {{
    default "-";
    "{hosts}" $http_host;
}}

# `Upgrade` goes through where a route says so, and nowhere else.
map "$request_method $bonafide_target" $bonafide_upgrade_{name} {{
    default "";
{upgrades}}}
map $bonafide_upgrade_{name} $bonafide_connection_{name} {{
    default upgrade;
    ""      close;
}}
"""

_SERVER_LEVEL: Final = """\
# Written by `bonafide nginx`. Include it in the server {{ }} of this API. That server has no `location /` of its own,
# no `rewrite`, `try_files`, `index` or `error_page`: a request that Nginx turns round is judged twice, and its second
# judgement is a replay.
merge_slashes off;
absolute_redirect off;
server_tokens off;
client_max_body_size {max_body};
client_header_timeout 10s;
client_body_timeout 15s;
send_timeout 30s;

# For every location of this server that does not say otherwise.
satisfy all;                             # `satisfy any` with an `allow` would let requests past the gate
auth_request {admit};
auth_request_set $bonafide_admission   $upstream_http_bonafide_admission;
auth_request_set $bonafide_status      $upstream_http_bonafide_status;
auth_request_set $bonafide_said_action $upstream_http_bonafide_action;
auth_request_set $bonafide_said_record $upstream_http_bonafide_record;
auth_request_set $bonafide_said_retry  $upstream_http_retry_after;
error_page 401 403 = @bonafide_refused;
error_page 413 = @bonafide_too_large;
error_page 500 = @bonafide_silent;       # how auth_request says that the gate did not answer

proxy_http_version 1.1;
proxy_request_buffering {buffering};
proxy_cache off;
proxy_store off;
proxy_redirect off;
proxy_intercept_errors off;              # the API's own 401, 403, 413 and 500 are its own
"""

_ADMIT: Final = """\
location = {admit} {{
    internal;
    auth_request off;
    proxy_pass http://bonafide_gate/admit;
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header Connection "";
    proxy_set_header Host bonafide-gate;
    proxy_set_header Cookie $http_cookie;  # one field, however many came: here and at the API
    proxy_set_header Originalmethod $request_method;
    proxy_set_header Originaltarget $bonafide_target;
    proxy_set_header Originalhost $bonafide_host_{name};
    proxy_set_header Originallength $http_content_length;
    proxy_set_header Originalcoding $http_transfer_encoding;
    proxy_set_header Originalupgrade $http_upgrade;
    proxy_set_header Originaltrailer $http_trailer;
    proxy_set_header Originaladdress $remote_addr;
    proxy_connect_timeout {deadline};
    proxy_send_timeout {deadline};
    proxy_read_timeout {deadline};
    # A kept connection that the gate has just closed is tried anew. If the gate did judge the request before, the
    # second time is a replay: it refuses, and admits nothing twice.
    proxy_next_upstream error;
    proxy_next_upstream_tries 2;
    proxy_next_upstream_timeout {deadline};
    proxy_buffer_size 16k;
    proxy_buffers 4 16k;
    proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset Expires Cache-Control
                         Set-Cookie Vary;
}}
"""

_API: Final = """\
location / {{
    proxy_pass {scheme}://bonafide_{name};  # no path here: Nginx would send its own spelling of the target
    proxy_next_upstream off;              # one admission, one request to the API
    proxy_set_header Host $http_host;
    proxy_set_header Cookie $http_cookie;
    proxy_set_header Connection $bonafide_connection_{name};
    proxy_set_header Upgrade $bonafide_upgrade_{name};
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header Forwarded "";
    proxy_set_header Proxy "";
    proxy_set_header Bonafide-Admission $bonafide_admission;
{dropped}
    proxy_connect_timeout 5s;
    proxy_send_timeout 60s;
    proxy_read_timeout 60s;
{body}}}
"""

_NO_BODY: Final = """\
    # Nothing behind this proxy compares a body with its digest, so that none is handed on.
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
"""

_SERVICE: Final = """\
location ^~ {prefix}/ {{
    auth_request off;
    if ($bonafide_service_path = 0) {{
        return 404;
    }}
    proxy_pass {scheme}://bonafide_service;
    proxy_next_upstream off;
    proxy_request_buffering on;
    client_max_body_size {max_body};
    proxy_set_header Host $http_host;
    proxy_set_header Connection close;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header Forwarded "";
    proxy_set_header Proxy "";
{dropped}
    proxy_connect_timeout 5s;
    proxy_send_timeout 30s;
    proxy_read_timeout 30s;
}}
"""

_REFUSALS: Final = """\
# The gate refused. Its answer's body was lost on the way; the status and the document are made anew.
location @bonafide_refused {{
    auth_request off;
    types {{ }}
    default_type application/problem+json;
    add_header Bonafide-Action $bonafide_action always;
    add_header Bonafide-Record $bonafide_record always;
    add_header Retry-After $bonafide_retry always;
    add_header Cache-Control no-store always;
{cases}
    {otherwise}
}}

# Nginx itself refused the body's size.
location @bonafide_too_large {{
    auth_request off;
    types {{ }}
    default_type application/problem+json;
    add_header Bonafide-Action give_up always;
    add_header Bonafide-Record $request_id always;
    add_header Cache-Control no-store always;
    {too_large}
}}

# The gate is away, or took longer than its deadline. The record is in Nginx's logs alone (log_format bonafide).
location @bonafide_silent {{
    auth_request off;
    types {{ }}
    default_type application/problem+json;
    add_header Bonafide-Action back_off always;
    add_header Bonafide-Record $request_id always;
    add_header Retry-After $bonafide_pause always;
    add_header Cache-Control no-store always;
    {silent}
}}
"""

_TLS: Final = """\
# Written by `bonafide nginx`. Include it in the server { } of an API, unless the site has a profile of its own.
# Mozilla's "@PROFILE@" profile; of the older suites those with elliptic curves alone.
ssl_protocols @PROTOCOLS@;
ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
ssl_prefer_server_ciphers off;
ssl_session_timeout 1d;
ssl_session_cache shared:bonafide:10m;
ssl_session_tickets off;
ssl_early_data off;                      # early data can be repeated by whoever recorded it
"""

_CERTIFICATES: Final = """\
    ssl_certificate     /etc/ssl/api/fullchain.pem;
    ssl_certificate_key /etc/ssl/api/privkey.pem;
    include {directory}/tls.conf;
"""

_EXAMPLE: Final = """\
server {{
{listen}
    server_name {names};
{certificates}    include {directory}/{file};
}}
"""
