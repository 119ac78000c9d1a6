"""Admission in front of Django's views: one line in MIDDLEWARE, the first.

For each request: what was sent (`adapters`) is judged (`admission.admit`), its first use is recorded, its body is
compared with the covered digest (`spool`), and the verdict takes effect as the route's mode says. What the view
answers on a route with `seal` leaves sealed (`sealed_answers`). The view
finds `request.bonafide`: what was admitted, or None where nothing was and the route only observes. With the
setting BEHIND_GATE a gate has judged, and its word takes the place of the first two (`behind_gate`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async

from bonafide.admission import PendingAdmission
from bonafide.django import refusals, runtime, sealed_answers, spool
from bonafide.django.judgement import Judgement
from bonafide.django.service_routes import SERVICE, is_service_view, serves_itself
from bonafide.errors import VerificationFailed
from bonafide.ports import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase

    from bonafide.django.judgement import Verdict

    Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class BonafideMiddleware:
    """Admit requests or refuse them. Synchronous or asynchronous, as the chain it stands in is."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Read the configuration now, so that one that cannot be run does not start.

        Raises `ConfigurationError`; `configuration.route_uncovered` where the table enforces and a URL has
        no rule.
        """
        self._get_response = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)
        # Django would hand a hook of the other colour to a thread, for each request.
        self.process_view = self._confirm_async if self._async else self._confirm
        runtime.current().start()

    def __call__(self, request: HttpRequest) -> Answer:
        """Judge the request, and hand it on or refuse it."""
        if self._async:
            return self._answer_async(request)
        judgement = Judgement(request, runtime.current(), datetime.now(UTC))
        if serves_itself(request):
            judgement.leave_to_itself()
            return _closing(request, self._get_response(request))
        here = judgement.runtime
        verdict = judgement.judge_statement() if here.is_behind_gate else judgement.judge(here.gate())
        refusal = judgement.conclude(judgement.compare_body(verdict))
        response = judgement.complete(self._get_response(request)) if refusal is None else refusal
        key = sealed_answers.key_of(request)
        return _closing(request, response if key is None else sealed_answers.seal_response(response, key))

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        judgement = Judgement(request, runtime.current(), datetime.now(UTC))
        if serves_itself(request):
            judgement.leave_to_itself()
            return _closing(request, await self._get_response(request))
        here = judgement.runtime
        verdict = judgement.judge_statement() if here.is_behind_gate else await _judge(judgement)
        if spool.is_quick(request):
            verdict = judgement.compare_body(verdict)
        else:
            verdict = await sync_to_async(judgement.compare_body, thread_sensitive=False)(verdict)
        refusal = judgement.conclude(verdict)
        response = judgement.complete(await self._get_response(request)) if refusal is None else refusal
        key = sealed_answers.key_of(request)
        return _closing(request, response if key is None else await sealed_answers.seal_response_async(response, key))

    def process_exception(self, request: HttpRequest, failure: Exception) -> HttpResponse | None:
        """Answer what a binding, a decorator or a permission refused inside the view."""
        return refusals.answer(request, failure) if isinstance(failure, VerificationFailed) else None

    def _confirm(self, request: HttpRequest, view: object, *_: object) -> HttpResponse | None:
        """Refuse a request that was left to the service's own view, where another one would now run it."""
        if getattr(request, "bonafide", None) is SERVICE and not is_service_view(view):
            return Judgement(request, runtime.current(), datetime.now(UTC)).refuse_detour()
        return None

    async def _confirm_async(self, request: HttpRequest, view: object, *_: object) -> HttpResponse | None:
        return self._confirm(request, view)


async def _judge(judgement: Judgement) -> Verdict:
    """Judge on the event loop, and let a thread wait for a replay store that others than this host share."""
    decision = judgement.decide(await judgement.runtime.agate())
    if isinstance(decision, PendingAdmission) and judgement.runtime.replay.scope is Scope.CLUSTER:
        return await sync_to_async(judgement.settle, thread_sensitive=False)(decision)
    return judgement.settle(decision)


def _closing(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Give the spool back when the answer is out: a streamed answer may still read from it."""
    response._resource_closers.append(lambda: spool.close(request))  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own handler does
    return response
