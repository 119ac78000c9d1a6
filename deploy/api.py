"""The API behind the gates: a small WSGI application with our middleware in front, and a journal of what reached it.

`python -m deploy.api SOCKET JOURNAL ORIGIN KEY_FILE…` serves it. The journal has one line for each request that was
admitted, `NONCE METHOD TARGET INSTANCE`: what a drill believes more than any status that a client saw.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces

from bonafide.upstream.wsgi import BonafideWsgi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

_VARIABLE: Final = "DEPLOY_API"
_NONCE: Final = re.compile(r';nonce="([A-Za-z0-9_-]+)"')


class Api:
    """Answers 200 with the length of the body, and writes down who asked."""

    def __init__(self, journal: Path) -> None:
        """Open the journal for lines at its end, which other workers write as well."""
        self._journal = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request that the middleware let through."""
        statement: Any = environ["bonafide.admission"]
        size = len(environ["wsgi.input"].read())
        if statement.sender is not None:
            nonce = _NONCE.search(environ.get("HTTP_SIGNATURE_INPUT", ""))
            words = ("-" if nonce is None else nonce[1], statement.method, statement.target, statement.sender.instance)
            os.write(self._journal, (" ".join(words) + "\n").encode())
        body = b'{"octets": %d}\n' % size
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def application() -> BonafideWsgi:
    """Return what a worker serves."""
    journal, origin, *key_files = os.environ[_VARIABLE].split("\n")
    return BonafideWsgi(Api(Path(journal)), key_files=key_files, origins=[origin])


def main(socket: str, *words: str) -> None:
    """Serve until SIGTERM."""
    os.environ[_VARIABLE] = "\n".join(words)
    Path(socket).unlink(missing_ok=True)
    # Under -m this module is __main__, which a worker could not import.
    Granian(
        "deploy.api:application",
        factory=True,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        uds=Path(socket),
        uds_permissions=0o660,
        websockets=False,
        workers=1,
        blocking_threads=4,
        respawn_failed_workers=True,
    ).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
