"""The service's endpoints as an HTTP transport in memory, so that a whole app can talk to a `World`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from bonafide import enrolment
from bonafide.errors import BonafideError
from bonafide.http import HttpRequest
from bonafide.testing.client import AppClient
from bonafide.testing.memory_enrolment_store import AsyncMemoryEnrolmentStore
from tests.enrolment.world import ORIGIN, SERVICE_KEY, World

if TYPE_CHECKING:
    from bonafide.enrolment import ChallengeIssued, Enrolled
    from bonafide.reasons import Reason

PREFIX = "/bonafide/v1"


@dataclass
class Reception:
    """Serves a world's endpoints; `asynchronous` chooses the functions over the asynchronous port.

    `requests` are those that arrived, `refusals` the reasons that the operator would see.
    """

    world: World
    asynchronous: bool = False
    requests: list[httpx.Request] = field(default_factory=list)
    refusals: list[Reason] = field(default_factory=list)

    def client(self) -> AppClient:
        """Return the app on the world's phone, as a process that was just started."""
        return AppClient(
            self.world.phone,
            api=str(ORIGIN),
            service_keys=[SERVICE_KEY.kid],
            clock=self.world.clock.seconds,
            sleep=lambda seconds: self.world.clock.advance(seconds=seconds),
            transport=httpx.MockTransport(self.serve),
        )

    def serve(self, request: httpx.Request) -> httpx.Response:
        """Answer one request as the endpoints do."""
        self.requests.append(request)
        try:
            status, answer = self._answer(request)
        except BonafideError as refused:
            self.refusals.append(refused.reason)
            return httpx.Response(refused.reason.status, headers={"bonafide-action": refused.reason.action})
        return httpx.Response(status, content=answer.body(), headers={"content-type": "application/json"})

    def _answer(self, request: httpx.Request) -> tuple[int, Enrolled | ChallengeIssued]:
        path = request.url.path.removeprefix(PREFIX)
        if path == "/challenge":
            message = enrolment.parse_challenge_request(request.content)
            app, world = self.world.app(message.app), self.world
            issued = enrolment.issue_challenge(world.service, app, message.purpose, now=world.now, random=world.random)
            return 200, issued
        if path == "/instances":
            return 201, self._enrol(received(request), request.content)
        return 200, self._renew(received(request), request.content, path.split("/")[2])

    def _enrol(self, request: HttpRequest, body: bytes) -> Enrolled:
        world = self.world
        service, pool, now, random = world.service, world.places, world.now, world.random
        if self.asynchronous:
            store = AsyncMemoryEnrolmentStore(world.store)
            return asyncio.run(
                enrolment.enrol_async(request, body, service=service, store=store, pool=pool, now=now, random=random)
            )
        return enrolment.enrol(request, body, service=service, store=world.store, pool=pool, now=now, random=random)

    def _renew(self, request: HttpRequest, body: bytes, instance: str) -> Enrolled:
        world = self.world
        service, now, random = world.service, world.now, world.random
        if self.asynchronous:
            store = AsyncMemoryEnrolmentStore(world.store)
            return asyncio.run(
                enrolment.renew_async(
                    request, body, instance=instance, service=service, store=store, now=now, random=random
                )
            )
        return enrolment.renew(
            request, body, instance=instance, service=service, store=world.store, now=now, random=random
        )


def received(request: httpx.Request) -> HttpRequest:
    """Turn httpx's request into the core's, as an adapter does."""
    return HttpRequest(
        method=request.method,
        origin=ORIGIN,
        target=request.url.raw_path.decode("ascii"),
        headers={name.lower(): value for name, value in request.headers.items()},
    )
