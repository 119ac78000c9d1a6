"""Envoy in front of a gate: `ext_authz` over HTTP. Nobody here has run it; a test reads it, and no more.

The text is the value of `http_filters` of a connection manager and the clusters that it names, as JSON, which Envoy
reads. Envoy makes the method and the target its check request's own; a Lua filter before it copies them into the
fields that a gate reads, and gives a refusal its status back. Its document is lost: SDKs read the fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from bonafide.gate.proxies.front import Address, Front, Site

_AUTHZ: Final = "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
_LUA: Final = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_TLS: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"

_TELL: Final = """\
local HOSTS = { @HOSTS@ }
function envoy_on_request(handle)
  local headers = handle:headers()
  local dropped = {}
  for name, _ in pairs(headers) do
    if name:find("_", 1, true) or name:sub(1, 9) == "bonafide-" or name:sub(1, 8) == "original" then
      dropped[#dropped + 1] = name
    end
  end
  for _, name in ipairs(dropped) do headers:remove(name) end
  local function tell(name, value)
    if value and value ~= "" then headers:add(name, value) end
  end
  local host = headers:get(":authority") or ""
  tell("originalmethod", headers:get(":method"))
  tell("originaltarget", headers:get(":path"))
  tell("originalhost", HOSTS[host:lower()] and host or "-")
  tell("originallength", headers:get("content-length"))
  tell("originalcoding", headers:get("transfer-encoding"))
  tell("originalupgrade", headers:get("upgrade"))
  tell("originaltrailer", headers:get("trailer"))
  tell("originaladdress", (handle:streamInfo():downstreamDirectRemoteAddress() or ""):gsub(":%d+$", ""))
end
function envoy_on_response(handle)
  -- The gate's answer has 401 or 403 on it; the status that it means stands beside.
  local headers = handle:headers()
  local status = headers:get("bonafide-status")
  if status == "400" or status == "413" or status == "429" or status == "503" then
    headers:replace(":status", status)
  end
  if status then
    headers:replace("cache-control", "no-store")
    headers:remove("bonafide-status")
  end
end
"""


def configuration(front: Front, site: Site) -> str:
    """Return `http_filters` and `clusters` for one API, as JSON.

    Raises `ConfigurationError` (`configuration.setting_malformed`) for an API that takes no bodies: nothing here
    refuses one that comes without being announced.
    """
    if not site.takes_bodies:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{site.name}: Envoy would hand unread bodies on")
    hosts = ", ".join(f'["{host}"] = true' for host in site.hosts)
    tell = {"inline_string": _TELL.replace("@HOSTS@", hosts)}
    document = {
        "http_filters": [
            {"name": "envoy.filters.http.lua", "typed_config": {"@type": _LUA, "default_source_code": tell}},
            {"name": "envoy.filters.http.ext_authz", "typed_config": _ext_authz(front)},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}},
        ],
        "clusters": [_cluster("bonafide_gate", front.gate), _cluster(f"bonafide_{site.identifier}", site.backend)],
    }
    return json.dumps(document, indent=2) + "\n"


def _ext_authz(front: Front) -> dict[str, Any]:
    deadline = f"{front.deadline.total_seconds():.3f}s"
    return {
        "@type": _AUTHZ,
        "transport_api_version": "V3",
        "failure_mode_allow": False,
        "status_on_error": {"code": "ServiceUnavailable"},
        "include_peer_certificate": False,
        "allowed_headers": {"patterns": [{"safe_regex": {"regex": ".*"}}]},
        "http_service": {
            "server_uri": {"uri": "http://bonafide-gate", "cluster": "bonafide_gate", "timeout": deadline},
            "path_prefix": "/admit?",  # Envoy appends the target
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": "bonafide-admission"}]},
                "allowed_client_headers": {
                    "patterns": [
                        {"prefix": "bonafide-"},
                        {"exact": "retry-after"},
                        {"exact": "www-authenticate"},
                        {"exact": "dpop-nonce"},
                    ]
                },
                "allowed_client_headers_on_success": {"patterns": [{"exact": "dpop-nonce"}]},
            },
        },
    }


def _cluster(name: str, address: Address) -> dict[str, Any]:
    where: dict[str, Any] = {"pipe": {"path": address.path}}
    if not address.path:
        host, _, port = address.authority.rpartition(":")
        where = {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
    endpoint = {"endpoint": {"address": where}}
    return {
        "name": name,
        "type": "STATIC" if address.path else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        **(_transport(address.host) if address.tls else {}),
    }


def _transport(host: str) -> dict[str, Any]:
    """Return TLS to a server whose name is verified; the file is Debian's."""
    trusted = {
        "trusted_ca": {"filename": "/etc/ssl/certs/ca-certificates.crt"},
        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
    }
    context = {"@type": _TLS, "sni": host, "common_tls_context": {"validation_context": trusted}}
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}
