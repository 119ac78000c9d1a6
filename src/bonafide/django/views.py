"""The service's endpoints (PROTOCOL section 2): challenge, enrolment, renewal, and the published keys.

Rules of this file: a view limits, reads a bounded body, hands it to the core and answers; it decides nothing. A
refused caller gets a coarse problem document, the operator the precise reason under its record id.
Callers are proven inside, by `enrolment`; so nothing here looks at `request.bonafide`, cookies or users.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from functools import wraps
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db import connections, transaction
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from bonafide.challenge import Purpose
from bonafide.codec import json
from bonafide.django import adapters, problems, runtime, spool
from bonafide.django.governor import Endpoint
from bonafide.django.records import Seen
from bonafide.django.service_routes import service_view
from bonafide.dpop_answer import NONCE
from bonafide.enrolment import MAX_BODY_BYTES, enrol, issue_challenge, parse_challenge_request, renew
from bonafide.errors import BonafideError, ConfigurationError, Misuse, VerificationFailed
from bonafide.keys import jwks
from bonafide.reasons import challenge as challenge_reasons
from bonafide.reasons import enrolment as enrolment_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import store as store_reasons

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from django.http import HttpRequest

    from bonafide.django.runtime import Runtime
    from bonafide.reasons import Reason

    View = Callable[..., HttpResponse]

logger: Final = logging.getLogger("bonafide.service")

JWKS_MAX_AGE_S: Final = 300
"""How long others may keep the published keys. The next key is published a day before it signs."""


class BackOff(Exception):
    """A limit said not yet."""

    def __init__(self, reason: Reason, detail: str, wait: timedelta) -> None:
        super().__init__(reason.code)
        self.reason = reason
        self.detail = detail
        self.wait = wait


def endpoint(limit: Endpoint | None, *methods: str) -> Callable[[Callable[..., HttpResponse]], View]:
    """Make a service view: limits, methods, refusals, and no transaction around it."""

    def decorate(work: Callable[..., HttpResponse]) -> View:
        @wraps(work)
        def view(request: HttpRequest, **arguments: str) -> HttpResponse:
            now, serving = datetime.now(UTC), None
            try:
                serving = runtime.current()
                _require_within_rate(serving, limit, request)
                return work(request, serving, now, **arguments)
            except (BonafideError, BackOff, DatabaseError) as failure:
                if serving is None:
                    raise
                return _refuse(failure, serving, request, work.__name__)

        public = csrf_exempt(require_http_methods(methods)(view))
        for alias in connections:  # the store commits what it answers, also where ATOMIC_REQUESTS is set
            public = transaction.non_atomic_requests(using=alias)(public)
        return service_view(public)

    return decorate


@endpoint(Endpoint.CHALLENGE, "POST")
def challenge(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`POST /challenge`: issue a challenge, unless too many enrolments of the app are beginning."""
    message = parse_challenge_request(spool.read_short(request, max_bytes=MAX_BODY_BYTES))
    service = serving.service()
    app = service.app(message.app)
    if app is None:
        raise VerificationFailed(enrolment_reasons.APP_UNKNOWN, message.app)
    wait = serving.governor.enrolment(app.name) if message.purpose is Purpose.ENROL else None
    if wait is not None:
        raise BackOff(challenge_reasons.GOVERNED, app.name, wait)
    issued = issue_challenge(service, app, message.purpose, now=now, random=secrets.token_bytes)
    response = _json(issued.body())
    if issued.is_nonce:
        response[NONCE] = issued.attestation_challenge
    return response


@endpoint(Endpoint.INSTANCES, "POST")
def instances(request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`POST /instances`: enrol."""
    enrolled = enrol(
        adapters.read_request(request, serving.origins),
        spool.read_short(request, max_bytes=MAX_BODY_BYTES),
        service=serving.service(),
        store=serving.enrolments,
        pool=serving.pool,
        now=now,
        random=secrets.token_bytes,
    )
    return _json(enrolled.body(), status=201)


@endpoint(Endpoint.RENEWALS, "POST")
def renewals(request: HttpRequest, serving: Runtime, now: datetime, instance: str) -> HttpResponse:
    """`POST /instances/{instance}/renewals`: renew."""
    renewed = renew(
        adapters.read_request(request, serving.origins),
        spool.read_short(request, max_bytes=MAX_BODY_BYTES),
        instance=instance,
        service=serving.service(),
        store=serving.enrolments,
        now=now,
        random=secrets.token_bytes,
    )
    return _json(renewed.body())


@endpoint(None, "GET", "HEAD")
def published_keys(_request: HttpRequest, serving: Runtime, now: datetime) -> HttpResponse:
    """`GET /jwks.json`: the keys that verify client attestations (RFC 7517 section 5)."""
    keys = [key for app in sorted(serving.app_names()) for key in serving.keys.ring(app, now).verification_keys(now)]
    response = HttpResponse(json.dump(jwks(keys)), content_type="application/jwk-set+json")
    response["Cache-Control"] = f"public, max-age={JWKS_MAX_AGE_S}"
    return response


def _require_within_rate(serving: Runtime, limit: Endpoint | None, request: HttpRequest) -> None:
    if limit is None:
        return
    address = adapters.client_address(request.META, serving.settings.trusted_proxies)
    wait = serving.governor.network(limit, address)
    if wait is not None:
        raise BackOff(request_reasons.RATE_EXCEEDED, limit, wait)


def _json(body: bytes, *, status: int = 200) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json")
    response["Cache-Control"] = "no-store"
    return response


def _refuse(failure: Exception, serving: Runtime, request: HttpRequest, name: str) -> HttpResponse:
    reason, detail, wait = store_reasons.DATABASE_UNAVAILABLE, type(failure).__name__, None
    if isinstance(failure, BonafideError):
        reason, detail = failure.reason, failure.detail
    if isinstance(failure, BackOff):
        reason, detail, wait = failure.reason, failure.detail, failure.wait
    if isinstance(failure, ConfigurationError | Misuse):
        logger.critical("%s: %s", reason.code, detail)
    seen = Seen(method=adapters.raw_method(request), route=f"bonafide:{name}", enforced=True)
    record = serving.records.refused(seen, reason, detail)
    return problems.refuse(reason, record, retry_after=wait)
