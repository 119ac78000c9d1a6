"""httpx in front of the Django project of this process, without a server between them."""

from __future__ import annotations

import sys
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx
from django.core.signals import got_request_exception
from django.test.client import ClientHandler


class InProcess(httpx.BaseTransport):
    """Serves httpx's requests by the Django project of this process, octet for octet as a WSGI server would.

    CSRF is enforced, as in production: an app sends no CSRF token.
    """

    def __init__(self) -> None:
        self._handler = ClientHandler(enforce_csrf_checks=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Serve one request. An exception of the project is raised here, not turned into a 500."""
        raised: list[BaseException] = []

        def keep(**_: object) -> None:
            raised.extend(error for error in [sys.exception()] if error is not None)

        got_request_exception.connect(keep)
        try:
            answer = self._handler(environ_of(request))
        finally:
            got_request_exception.disconnect(keep)
        if raised:
            raise raised[0]
        headers = [(name, value) for name, value in answer.items()]
        headers += [("Set-Cookie", morsel.OutputString()) for morsel in answer.cookies.values()]
        content = b"".join(answer)  # closed by Django's handler; once more would close the connection
        return httpx.Response(answer.status_code, headers=headers, content=content)


def environ_of(request: httpx.Request) -> dict[str, Any]:
    """Return a request as a WSGI server would hand it over (PEP 3333)."""
    raw = request.url.raw_path.decode("ascii")
    path, _, query = raw.partition("?")
    body = request.read()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": raw,
        "SERVER_NAME": request.url.host,
        "SERVER_PORT": str(request.url.port or 443),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.url.scheme,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.multiprocess": False,
        "wsgi.multithread": False,
        "wsgi.run_once": False,
    }
    for name in dict.fromkeys(request.headers.keys()):
        values = request.headers.get_list(name)
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = ",".join(values)
    return environ
