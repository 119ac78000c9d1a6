"""The API of a soak: our middleware, and a view that says whom it was told about.

    python -m soak.api SOCKET ADMISSION_KEY_FILE [WORKERS]

A bearer is bound to a key: its text begins with the thumbprint of the device that it was given to.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.gate.processes import HOST
from bench.gate.serving import serve
from bonafide.upstream.wsgi import BonafideWsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bonafide.statement import Statement

    StartResponse = Callable[..., Any]

KEY_FILE: Final = "SOAK_ADMISSION_KEY"
VIEW: Final = "X-Soak-View"
"""Says that a view ran, and for which instance: no refusal may carry it."""


def wsgi() -> BonafideWsgi:
    """Make the callable."""
    return BonafideWsgi(_view, key_files=[os.environ[KEY_FILE]], origins=[f"https://{HOST}"])


def _view(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    statement: Statement = environ["bonafide.admission"]
    sender = statement.sender
    bearer = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    if sender is None or (bearer and bearer.partition(".")[0] != sender.jkt):
        fields = [("Bonafide-Action", "give_up"), ("Content-Length", "0")]
        start_response("401 Unauthorized", fields)
        return (b"",)
    read = environ["wsgi.input"].read()
    body = b'{"read":%d}' % len(read)
    start_response("200 OK", [(VIEW, sender.instance), ("Content-Length", str(len(body)))])
    return (body,)


if __name__ == "__main__":
    os.environ[KEY_FILE] = sys.argv[2]
    serve("soak.api:wsgi", Path(sys.argv[1]), workers=int((*sys.argv, "1")[3]))
