"""The application as it is, saying which worker answered, so that a replay can be aimed at one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from wsgi import application as shop

if TYPE_CHECKING:
    from collections.abc import Iterable


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Serve the shop, with one more header on each answer."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *rest)

    return shop(environ, start)
