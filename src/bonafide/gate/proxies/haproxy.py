"""HAProxy in front of a gate: a Lua file that asks, and the lines of a front end that uses it.

Rules of this file: as in `nginx`, the gate is told what arrived, and what is not known to be the gate's answer is a
refusal: the action of `haproxy.lua` marks what was answered with 204 as the last thing that it does, and what has no
mark is refused. Written for 2.6, which Debian 12 ships, and newer.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from bonafide.gate.proxies.front import MAX_SERVICE_BODY, SERVICE_PATHS
from bonafide.gate.proxies.patterns import line_of

if TYPE_CHECKING:
    from bonafide.gate.proxies.front import Address, Front, Service, Site
    from bonafide.routes import Route

TRIES: Final = 4
"""How often HAProxy's own client asks; 2.6 knows no way to say otherwise. Each try has its share of the deadline."""


BIND: Final = ":443 ssl crt /etc/haproxy/api.pem alpn h2,http/1.1"


def lua() -> str:
    """Return the Lua file. It is the same for every site."""
    return resources.files(__package__).joinpath("haproxy.lua").read_text(encoding="utf-8")


def configuration(front: Front, lua_file: str, *, bind: str = BIND) -> str:
    """Return the configuration, `defaults` apart; `lua_file` is where the operator puts the Lua file."""
    timeout = round(front.deadline.total_seconds() * 1000 / TRIES)
    parts = [_HEAD.format(lua=lua_file, bind=bind)]
    if front.service is not None:
        parts.append(_service(front.service))
    parts += [_site(site) for site in front.sites]
    parts.append(_ADMIT.format(gate=_address(front.gate), timeout=timeout, refused=_SILENT))
    if front.service is not None:
        parts.append("    use_backend bonafide_service if bonafide_public bonafide_plain")
    parts += [f"    use_backend bonafide_{site.identifier} if bonafide_at_{site.identifier}" for site in front.sites]
    parts += [_backend(site.identifier, site.backend) for site in front.sites]
    if front.service is not None:
        parts.append(_backend("service", front.service.address))
    return "\n".join([*parts, ""])


def _address(address: Address) -> str:
    return f"unix@{address.path}" if address.path else address.authority


def _quoted(text: str) -> str:
    """Quote strongly: HAProxy expands variables elsewhere."""
    return "'" + text.replace("'", "'\\''") + "'"


def _service(service: Service) -> str:
    prefix = re.escape(service.prefix)
    public = _quoted(rf"^{prefix}/(?:{'|'.join(SERVICE_PATHS)})(?:\?|$)")
    return _SERVICE.format(public=public, beneath=_quoted(f"^{prefix}/"), max_body=MAX_SERVICE_BODY)


def _site(site: Site) -> str:
    lines = [f"    acl bonafide_at_{site.identifier} req.fhdr(host) -i -m str {' '.join(site.hosts)}"]
    where = f"!bonafide_public bonafide_at_{site.identifier}"
    lines.append(f"    http-request set-var(txn.bonafide_host) req.fhdr(host) if bonafide_at_{site.identifier}")
    if not site.takes_bodies:
        lines += [
            "    # Nothing behind this proxy compares a body with its digest, so that none is taken.",
            f"    http-request wait-for-body time 5s at-least 1 if {where}",
            f"    {_TOO_LARGE} if {where} {{ req.body_len gt 0 }}",
            f"    {_TOO_LARGE} if {where} {{ req.body_size gt 0 }}",
        ]
    elif site.max_body is not None:
        lines.append(f"    {_TOO_LARGE} if {where} {{ req.body_size gt {site.max_body} }}")
    name, at = f"bonafide_upgrade_{site.identifier}", f"bonafide_at_{site.identifier}"
    lines += [
        f"    http-request set-var(txn.{name}) bool({_flag(route)}) if {at} {_first(route, name)}"
        for route in site.upgrading
    ]
    lines.append(f"    acl {name} var(txn.{name}) -m bool")
    lines.append(f"    acl bonafide_upgrades var(txn.{name}) -m bool")
    return "\n".join(lines)


def _flag(route: Route) -> str:
    return "true" if route.upgrade else "false"


def _first(route: Route, name: str) -> str:
    """Return the condition that this route is the first to match."""
    return f"!{{ var(txn.{name}) -m found }} {{ var(txn.bonafide_line) -m reg {_quoted(line_of(route))} }}"


def _backend(name: str, address: Address) -> str:
    tls = (
        f" ssl verify required ca-file @system-ca sni str({address.host}) verifyhost {address.host}"
        if address.tls
        else ""
    )
    return _BACKEND.format(name=name, server=_address(address) + tls)


_TOO_LARGE: Final = (
    "http-request return status 413 content-type application/problem+json hdr Cache-Control no-store "
    "hdr Bonafide-Action give_up hdr Bonafide-Record %[var(txn.bonafide_record)] "
    """lf-string '{"type":"about:blank","title":"Request Entity Too Large","status":413,"action":"give_up","""
    """"record":"%[var(txn.bonafide_record)]"}'"""
)

_SILENT: Final = (
    "http-request return status 503 content-type application/problem+json hdr Cache-Control no-store "
    "hdr Bonafide-Action back_off hdr Bonafide-Record %[var(txn.bonafide_record)] hdr Retry-After 5 "
    """lf-string '{"type":"about:blank","title":"Service Unavailable","status":503,"action":"back_off","""
    """"record":"%[var(txn.bonafide_record)]"}'"""
)

_HEAD: Final = """\
# Written by `bonafide proxy haproxy`. `defaults` with `mode http` and timeouts are the site's.
global
    lua-load-per-thread {lua}
    tune.bufsize 65536
    tune.http.maxhdr 128

frontend bonafide
    bind {bind}
    http-request set-var-fmt(txn.bonafide_line) "%[method] %[pathq]"
    http-request set-var(txn.bonafide_record) uuid()
    acl bonafide_plain url_beg /
    acl bonafide_plain fc_http_major 2
    http-request return status 400 if {{ req.ver 1.0 }} {{ req.hdr(transfer-encoding) -m found }}"""

_SERVICE: Final = """\
    # What the service says to the public, spelled plainly. What it tells gates is not among it.
    acl bonafide_public pathq -m reg {public}
    http-request return status 404 if {{ pathq -m reg {beneath} }} !bonafide_public
    http-request return status 404 if bonafide_public !bonafide_plain
    http-request return status 413 if bonafide_public {{ req.body_size gt {max_body} }}"""

_ADMIT: Final = """\
    http-request lua.bonafide_admit {gate} {timeout} if !bonafide_public
    # HAProxy goes on where a Lua action fails, or is ended because the client has gone.
    {refused} if !bonafide_public !{{ var(txn.bonafide_admitted) -m bool }}
    http-request del-header Bonafide-Admission if bonafide_public
    acl bonafide_websocket req.fhdr(upgrade) -i -m str websocket
    http-request del-header Upgrade if !bonafide_upgrades
    http-request del-header Connection if !bonafide_upgrades
    http-request del-header Upgrade if !bonafide_websocket
    http-request del-header HTTP2-Settings
    http-response del-header Bonafide-Admission
    http-response del-header Bonafide-Status
    http-response set-header DPoP-Nonce %[var(txn.bonafide_nonce)] if {{ var(txn.bonafide_nonce) -m found }}
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request del-header Forwarded
    http-request del-header X-Forwarded-Host
    http-request del-header Proxy"""

_BACKEND: Final = """
backend bonafide_{name}
    retries 0
    http-reuse never
    server {name} {server}"""
