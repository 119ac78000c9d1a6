"""Caddy in front of a gate: what `forward_auth` stands for, written out, so that refusals keep their meaning.

The text is a file for `import` at the top of a Caddyfile. It defines one snippet for each upstream; the site is

    api.example.com {
        import bonafide_NAME
    }

Rules of this file: as in `nginx`, the gate is told what arrived (`{http.request.orig_uri}`), and what is not known to
be the gate's answer is a refusal. Written for 2.6, which Debian 12 ships, and newer.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bonafide.gate.proxies.front import MAX_SERVICE_BODY, ORIGINAL_HEADERS, SERVICE_PATHS
from bonafide.gate.proxies.patterns import line_of

if TYPE_CHECKING:
    from bonafide.gate.proxies.front import Address, Front, Service, Site

_REFUSALS: Final = (400, 401, 403, 413, 429, 503)


def snippets(front: Front) -> str:
    """Return the file."""
    return "\n".join([_HEAD, *(_snippet(front, site) for site in front.sites)])


def _snippet(front: Front, site: Site) -> str:
    return _SNIPPET.format(
        name=site.identifier,
        hosts="|".join(re.escape(host) for host in site.hosts),
        upgrades="".join(
            f'\t\t\t"~{line_of(route)}" {"through" if route.upgrade else "dropped"}\n' for route in site.upgrading
        ),
        service="" if front.service is None else _service(front.service),
        body=_body(site),
        gate=_upstream(front.gate),
        told="\n".join(f"\t\t\theader_up {name} {_TOLD[name]}" for name in ORIGINAL_HEADERS if name in _TOLD),
        told_where_sent="\n".join(_TELL.format(field=field, name=name) for name, field in _TOLD_WHERE_SENT.items()),
        deadline=f"{front.deadline.total_seconds() * 1000:.0f}ms",
        refusals="\n".join(_refusal(status) for status in _REFUSALS),
        silent=_document(503, "back_off", "{http.request.uuid}"),
        too_large=_document(413, "give_up", "{http.request.uuid}"),
        api=_upstream(site.backend),
    )


def _upstream(address: Address) -> str:
    return f"unix/{address.path}" if address.path else f"{address.scheme}://{address.authority}"


def _service(service: Service) -> str:
    paths = "|".join(SERVICE_PATHS)
    return _SERVICE.format(
        prefix=re.escape(service.prefix),
        paths=paths,
        longer=_LONGER.format(max_body=MAX_SERVICE_BODY),
        max_body=MAX_SERVICE_BODY,
        upstream=_upstream(service.address),
    )


def _body(site: Site) -> str:
    if not site.takes_bodies:
        return _NO_BODY
    return "" if site.max_body is None else _MAX_BODY.format(max_body=site.max_body)


def _refusal(status: int) -> str:
    document = _document(status, "{rp.header.Bonafide-Action}", "{rp.header.Bonafide-Record}")
    return _REFUSAL.format(status=status, document=document)


def _document(status: int, action: str, record: str) -> str:
    title = HTTPStatus(status).phrase
    return f'{{"type":"about:blank","title":"{title}","status":{status},"action":"{action}","record":"{record}"}}'


_TOLD: Final = {
    "Originalmethod": "{http.request.method}",
    "Originaltarget": "{http.request.orig_uri}",
    "Originalhost": "{bonafide_host}",
    "Originaladdress": "{http.request.remote.host}",
}

_TOLD_WHERE_SENT: Final = {
    "Originallength": "Content-Length",
    "Originalcoding": "Transfer-Encoding",
    "Originalupgrade": "Upgrade",
    "Originaltrailer": "Trailer",
    "Content-Type": "Content-Type",
}
"""To a gate an empty field is one that is there. Content-Type becomes one field, for the API as well."""

_TELL: Final = """\
		@bonafide_{field} header {field} *
		request_header @bonafide_{field} {name} {{http.request.header.{field}}}"""

_HEAD: Final = """\
# Written by `bonafide proxy caddy`. Import it at the top of the Caddyfile, and in the site of each API its snippet:
#
#     api.example.com {
#         import bonafide_api
#     }
"""

_SNIPPET: Final = """\
(bonafide_{name}) {{
	route {{
		# What a client must not say, and names that a WSGI server reads as others.
		request_header -Bonafide-*
		request_header -*_*
		request_header -Original*
		request_header -Forwarded
		request_header -Proxy
		request_header -HTTP2-Settings

		# A Host that names another API, or none, names none here: the gate refuses it.
		map {{http.request.hostport}} {{bonafide_host}} {{
			"~(?i)^({hosts})$" "${{1}}"
			default "-"
		}}
		# `Upgrade` goes through where a route says so, and nowhere else.
		map "{{http.request.method}} {{http.request.orig_uri}}" {{bonafide_upgrade}} {{
{upgrades}			default dropped
		}}
{told_where_sent}
		# Before the gate is asked: what `Connection` names is handed on to nobody, and it must not be to the API alone.
		@bonafide_upgraded {{
			expression `{{bonafide_upgrade}} == "through"`
			header_regexp Upgrade (?i)^websocket$
		}}
		@bonafide_plain not {{
			expression `{{bonafide_upgrade}} == "through"`
			header_regexp Upgrade (?i)^websocket$
		}}
		request_header @bonafide_plain -Upgrade
		request_header @bonafide_plain -Connection
		request_header @bonafide_upgraded Connection Upgrade
{service}{body}
		reverse_proxy {gate} {{
			method GET
			rewrite /admit
{told}
			header_up Host bonafide-gate
			header_up -Connection
			header_up -Upgrade
			header_up -Expect
			header_up -X-Forwarded-*
			transport http {{
				dial_timeout {deadline}
				response_header_timeout {deadline}
				compression off
			}}
			@bonafide_admitted_with_nonce {{
				status 204
				header DPoP-Nonce *
			}}
			handle_response @bonafide_admitted_with_nonce {{
				vars bonafide_admission {{rp.header.Bonafide-Admission}}
				header DPoP-Nonce {{rp.header.DPoP-Nonce}}
			}}
			@bonafide_admitted status 204
			handle_response @bonafide_admitted {{
				vars bonafide_admission {{rp.header.Bonafide-Admission}}
			}}
{refusals}
			handle_response {{
				error 503
			}}
		}}
		vars bonafide_judged yes

		reverse_proxy {api} {{
			header_up -Original*
			header_down -Bonafide-Admission
			header_down -Bonafide-Status
			header_up Bonafide-Admission {{vars.bonafide_admission}}
			header_up X-Forwarded-For {{http.request.remote.host}}
			header_up -X-Forwarded-Host
			transport http {{
				compression off
				keepalive off
			}}
		}}
	}}
	handle_errors {{
		# Before the gate has spoken an error is its silence, or a body that is too large; after it, the API's.
		@bonafide_large expression `{{http.error.status_code}} == 413`
		@bonafide_silent not vars {{vars.bonafide_judged}} yes
		header Cache-Control no-store
		handle @bonafide_large {{
			header Content-Type application/problem+json
			header Bonafide-Action give_up
			header Bonafide-Record {{http.request.uuid}}
			respond `{too_large}` 413
		}}
		handle @bonafide_silent {{
			header Content-Type application/problem+json
			header Bonafide-Action back_off
			header Bonafide-Record {{http.request.uuid}}
			header Retry-After 5
			respond `{silent}` 503
		}}
		handle {{
			respond "" {{http.error.status_code}}
		}}
	}}
}}
"""

_REFUSAL: Final = """\
			@bonafide_{status} {{
				status 401 403
				header Bonafide-Status {status}
			}}
			handle_response @bonafide_{status} {{
				header Content-Type application/problem+json
				header Cache-Control no-store
				copy_response_headers {{
					include Bonafide-Action Bonafide-Record Retry-After WWW-Authenticate DPoP-Nonce
				}}
				respond `{document}` {status}
			}}"""

_SERVICE: Final = """\
		# What the service says to the public, spelled plainly. What it tells gates is not among it.
		map {{http.request.orig_uri}} {{bonafide_service_path}} {{
			"~^{prefix}/(?:{paths})(?:\\?|$)" public
			"~^{prefix}/" hidden
			default none
		}}
		@bonafide_service expression `{{bonafide_service_path}} == "public"`
		handle @bonafide_service {{
			@bonafide_longer_still expression {longer}
			error @bonafide_longer_still 413
			request_body {{
				max_size {max_body}
			}}
			reverse_proxy {upstream} {{
				header_up X-Forwarded-For {{http.request.remote.host}}
				header_up -X-Forwarded-Host
				transport http {{
					compression off
					keepalive off
				}}
			}}
		}}
		@bonafide_hidden expression `{{bonafide_service_path}} == "hidden"`
		respond @bonafide_hidden 404
"""

_LONGER: Final = (
    '`{{http.request.header.Content-Length}} != "" && int({{http.request.header.Content-Length}}) > {max_body}`'
)

_MAX_BODY: Final = f"""\
		@bonafide_longer expression {_LONGER}
		error @bonafide_longer 413
		request_body {{{{
			max_size {{max_body}}
		}}}}
"""

_NO_BODY: Final = """\
		# Nothing behind this proxy compares a body with its digest, so that none is taken.
		request_body {
			max_size 1
		}
		@bonafide_body expression `{http.request.body} != ""`
		error @bonafide_body 413
"""
