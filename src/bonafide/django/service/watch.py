"""What is written down of each request to the service's own listeners: a line, a count, and a time.

Neither path, query, header nor body is kept: the URL pattern says which endpoint it was, and a refusal's record id
leads to the rest.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from bonafide.django.service import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

logger: Final = logging.getLogger("bonafide.access")

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_SUCCESS: Final = range(200, 300)


class WatchMiddleware:
    """Logs and counts requests by their endpoint. First in MIDDLEWARE."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        metrics.connect()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Hand the request on, and write down what became of it."""
        began = time.perf_counter()
        response = self._get_response(request)
        took, status = time.perf_counter() - began, response.status_code
        endpoint = endpoint_of(request)
        metrics.REQUESTS.labels(endpoint, f"{status // 100}xx").inc()
        metrics.SECONDS.labels(endpoint).observe(took)
        if status in _SUCCESS and endpoint in metrics.ISSUED:
            metrics.ISSUED[endpoint].inc()
        line = {
            "method": request.method if request.method in _METHODS else "OTHER",
            "endpoint": endpoint,
            "status": status,
            "ms": round(took * 1000, 2),
            "record": response.headers.get("Bonafide-Record", ""),
        }
        logger.info("%(method)s %(endpoint)s %(status)d", line, extra={"bonafide": line})
        return response


def endpoint_of(request: HttpRequest) -> str:
    """Return the name of the URL pattern that a request fell under: a closed list. The console is one endpoint."""
    match = request.resolver_match
    if match is None:
        return "none"
    return "admin" if match.app_name == "admin" else match.view_name
