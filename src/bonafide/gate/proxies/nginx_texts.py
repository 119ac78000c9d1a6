"""Nginx's lines as they stand in its files, with places for what `nginx` puts in. Comments are for the operator.

`{name}` is a place and `{{` a brace, except in HTTP_LEVEL and TLS, whose places are @LIKE_THIS@.
"""

from __future__ import annotations

from typing import Final

HTTP_LEVEL: Final = """\
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

# Of what `Upgrade` may ask for, this alone: behind it everything else is a tunnel that nobody judges.
map $http_upgrade $bonafide_websocket {
    default "";
    "~*^websocket$" websocket;
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

map $bonafide_said_nonce $bonafide_nonce {
    default "";
    "~^[A-Za-z0-9._-]{1,256}$" $bonafide_said_nonce;
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

SERVICE_LEVEL: Final = """\
upstream bonafide_service {{
    server {server};
}}

# What the service says to the public, spelled plainly. What it tells gates is not among it.
map $bonafide_target $bonafide_service_path {{
    default 0;
    "{paths}" 1;
}}
"""

SITE_LEVEL: Final = """\
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

SERVER_LEVEL: Final = """\
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
auth_request_set $bonafide_said_nonce  $upstream_http_dpop_nonce;
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

DPOP: Final = """\

# The nonce for a client's next DPoP proof, on every answer. Nginx takes `add_header` from the next level up only where
# a level has none of its own: lines that the site has in http { } or in a location of its own are to be repeated there.
add_header DPoP-Nonce $bonafide_nonce always;
"""

ADMIT: Final = """\
location = {admit} {{
    internal;
    auth_request off;
    proxy_pass http://bonafide_gate/admit;
    proxy_method GET;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_set_header Connection "";
    proxy_set_header Host bonafide-gate;
    # One field each, however many came: here and at the API.
    proxy_set_header Cookie $http_cookie;
    proxy_set_header Content-Type $http_content_type;
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
    proxy_buffer_size 32k;               # what the gate says of the longest target
    proxy_buffers 4 32k;
    proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate X-Accel-Buffering X-Accel-Charset Expires Cache-Control
                         Set-Cookie Vary;
}}
"""

API: Final = """\
location / {{
    proxy_pass {scheme}://bonafide_{name};  # no path here: Nginx would send its own spelling of the target
    proxy_next_upstream off;              # one admission, one request to the API
    proxy_set_header Host $http_host;
    proxy_set_header Cookie $http_cookie;
    proxy_set_header Content-Type $http_content_type;
    proxy_set_header Connection $bonafide_connection_{name};
    proxy_set_header Upgrade $bonafide_upgrade_{name};
    proxy_set_header HTTP2-Settings "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header Forwarded "";
    proxy_set_header Proxy "";
    proxy_set_header Bonafide-Admission $bonafide_admission;
{dropped}
    proxy_hide_header Bonafide-Admission;
    proxy_hide_header Bonafide-Status;
    proxy_ignore_headers X-Accel-Redirect;  # it would answer with another path than the gate was asked about
    proxy_connect_timeout 5s;
    proxy_send_timeout 60s;
    proxy_read_timeout 60s;
{body}}}
"""

NO_BODY: Final = """\
    # Nothing behind this proxy compares a body with its digest, so that none is handed on.
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
"""

SERVICE: Final = """\
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
{tls}}}
"""

TLS_BEHIND: Final = """\
    # Nginx verifies nobody behind it unless it is told to. The file is Debian's.
    proxy_ssl_server_name on;
    proxy_ssl_name {host};
    proxy_ssl_verify on;
    proxy_ssl_verify_depth 4;
    proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;
"""

REFUSALS: Final = """\
# The gate refused. Its answer's body was lost on the way; the status and the document are made anew.
location @bonafide_refused {{
    auth_request off;
    types {{ }}
    default_type application/problem+json;
    add_header Bonafide-Action $bonafide_action always;
    add_header Bonafide-Record $bonafide_record always;
    add_header Retry-After $bonafide_retry always;
    add_header DPoP-Nonce $bonafide_nonce always;
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

TLS: Final = """\
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

CERTIFICATES: Final = """\
    ssl_certificate     /etc/ssl/api/fullchain.pem;
    ssl_certificate_key /etc/ssl/api/privkey.pem;
    include {directory}/tls.conf;
"""

EXAMPLE: Final = """\
server {{
{listen}
    server_name {names};
{certificates}    include {directory}/{file};
}}
"""
