"""An app's HTTP client: httpx that enrols, renews and signs by itself.

    phone = IPhone(Build(app="shop", identity="ABCDE12345.com.example.shop"), clock=time.time)
    with AppClient(phone, api="https://staging.example.com", service_keys=["…"]) as client:
        client.get("/api/me", headers={"Authorization": "Bearer …"})

Requests go to the API's own authority and nowhere else, redirects included. Answers come back as httpx
gives them; a refusal is an answer with its status, unless repeating it was asked for and could do harm
(`OutcomeUnknown`), or enrolment itself was refused (`Refused`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import aclosing, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from bonafide.terms import ProofKind
from bonafide.testing.authorization_server import attest_for
from bonafide.testing.clock import LearnedClock
from bonafide.testing.conversation import Conversation
from bonafide.testing.device import Build, Device
from bonafide.testing.hints import AnswerRefused, OutcomeUnknown, Pause, Refused, Stopped, following
from bonafide.testing.sealed_answers import (
    CLEAR,
    AnswerNotSealed,
    Hearing,
    Sealed,
    SealRefused,
    is_sealed,
    take_in,
    take_in_async,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Generator

    from bonafide.testing.hints import Steps

__all__ = [
    "AnswerNotSealed",
    "AnswerRefused",
    "AppClient",
    "AsyncAppClient",
    "Build",
    "Device",
    "ForeignAuthority",
    "OutcomeUnknown",
    "Refused",
    "SealRefused",
    "Stopped",
]

PREFIX: Final = "/bonafide/v1"
SEALED: Final = "bonafide_sealed"

_HEARING: Final = "bonafide_hearing"
_NEVER_SEALED: Final = ("range", "accept-encoding")


class ForeignAuthority(ValueError):
    """A request to another scheme or authority than the API's: it is not signed, and not sent."""


class _ProofAuth(httpx.Auth):
    """The conversation as httpx wants it: a generator of requests for either colour of client."""

    def __init__(
        self,
        conversation: Conversation,
        *,
        api: httpx.URL,
        hardware: frozenset[str],
        sleep: Callable[[float], None],
        async_sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._conversation = conversation
        self._api = api
        self._hardware = hardware
        self._sleep = sleep
        self._async_sleep = async_sleep

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.read()
        hearing = _hearing(request)
        steps = self._steps(request, hearing)
        step = next(steps, None)
        while step is not None:
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                step = next(steps, None)
                continue
            response = yield step
            if isinstance(hearing, Sealed) and is_sealed(response):
                take_in(response, held=hearing.path is None)
            elif self._must_be_read(step, response):
                response.read()
            step = following(steps, response)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        await request.aread()
        hearing = _hearing(request)
        steps = self._steps(request, hearing)
        step = next(steps, None)
        while step is not None:
            if isinstance(step, Pause):
                await self._async_sleep(step.seconds)
                step = next(steps, None)
                continue
            response = yield step
            if isinstance(hearing, Sealed) and is_sealed(response):
                await take_in_async(response, held=hearing.path is None)
            elif self._must_be_read(step, response):
                await response.aread()
            step = following(steps, response)

    def _must_be_read(self, request: httpx.Request, response: httpx.Response) -> bool:
        """Tell answers whose body is looked at here, or kept by an exception, from those that may be streamed."""
        return request.url.path.startswith(self._conversation.service_path) or "bonafide-action" in response.headers

    def _steps(self, request: httpx.Request, hearing: Hearing) -> Steps:
        url = request.url
        if (url.scheme, url.netloc, url.userinfo) != (self._api.scheme, self._api.netloc, b""):
            raise ForeignAuthority(str(url.copy_with(userinfo=b"", raw_path=b"/")))
        proof = ProofKind.HARDWARE if url.path in self._hardware else ProofKind.SESSION
        proof = request.extensions.get("bonafide_proof", proof)
        return self._conversation.request(request, proof=proof, hear=hearing)


class AppClient(httpx.Client):
    """`httpx.Client` for the app on `device`; the module says what differs. One thread at a time.

    `api` is the API's origin, `service` the prefix of Bonafide's endpoints, `service_keys` the pinned
    thumbprints. `hardware` names paths that are always signed by the `sign` key, as a login is; for one
    request: `extensions={"bonafide_proof": ProofKind.HARDWARE}`. `sealed` names paths whose answers are taken
    sealed or not at all; for one request: `extensions={"bonafide_sealed": True}`. `sleep` serves `back_off`.
    """

    def __init__(
        self,
        device: Device,
        *,
        api: str,
        service_keys: Collection[str],
        service: str = PREFIX,
        hardware: Collection[str] = (),
        sealed: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> None:
        """`options` are httpx's: `transport`, `verify`, `timeout`, `proxy` and the like."""
        self.device = device
        self.sealed = frozenset(sealed)
        self.clock = LearnedClock(clock)
        self.conversation = _converse(device, api, service, service_keys, self.clock)
        self._sleep = sleep
        auth = _ProofAuth(
            self.conversation,
            api=httpx.URL(api),
            hardware=frozenset(hardware),
            sleep=sleep,
            async_sleep=asyncio.sleep,
        )
        super().__init__(base_url=api, auth=auth, **({"trust_env": False} | options))

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send as httpx does, but leave authentication and redirects to the conversation alone.

        Raises `AnswerNotSealed` and `SealRefused` where a sealed answer is wanted.
        """
        if not _wants_sealed(request, self.sealed):
            return super().send(request, **_with_our_auth(options))
        cookies = httpx.Cookies(self.cookies)
        try:
            with closing(super().send(request, **_with_our_auth(options) | {"stream": True})) as response:
                pass
        finally:
            self.cookies = cookies  # what the fields outside said of cookies, anybody may have written
        answer = _outcome(request, response)
        self.cookies.extract_cookies(answer)
        return answer

    def download(self, url: httpx.URL | str, path: Path, **options: Any) -> httpx.Response:
        """GET a sealed answer and write its body to `path`, which appears whole or not at all.

        One record is in memory at a time. Returns the answer without its body; one of an error status has its body,
        and leaves `path` alone. Raises as `send`.
        """
        options["extensions"] = {**options.get("extensions", {}), SEALED: path}
        return self.get(url, **options)

    def make_ready(self) -> None:
        """Enrol where that has not been done, renew where it is due. Raises as `enrol`."""
        self._run(self.conversation.make_ready())

    def enrol(self) -> None:
        """Enrol now instead of before the first request. Raises `Refused`, `AnswerRefused`, `Stopped`."""
        self._run(self.conversation.enrol())

    def renew(self) -> None:
        """Renew now instead of when it is due. Raises `Refused`, `AnswerRefused`, `Stopped`."""
        self._run(self.conversation.renew())

    def attest_for(self, audience: str) -> str:
        """Return a client attestation for an authorization server that the service lists among the app's audiences.

        Raises as `enrol`.
        """
        found: list[str] = []

        def steps() -> Steps:
            found.append((yield from attest_for(self.conversation, self.device, audience)))

        self._run(steps())
        return found[0]

    def _run(self, steps: Steps) -> None:
        step = next(steps, None)
        while step is not None:
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                step = next(steps, None)
            else:
                step = following(steps, super().send(step, auth=None, follow_redirects=False))


class AsyncAppClient(httpx.AsyncClient):
    """`AppClient` for an event loop: the same conversation. One task at a time."""

    def __init__(
        self,
        device: Device,
        *,
        api: str,
        service_keys: Collection[str],
        service: str = PREFIX,
        hardware: Collection[str] = (),
        sealed: Collection[str] = (),
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **options: Any,
    ) -> None:
        """As `AppClient`."""
        self.device = device
        self.sealed = frozenset(sealed)
        self.clock = LearnedClock(clock)
        auth = _ProofAuth(
            _converse(device, api, service, service_keys, self.clock),
            api=httpx.URL(api),
            hardware=frozenset(hardware),
            sleep=time.sleep,
            async_sleep=sleep,
        )
        super().__init__(base_url=api, auth=auth, **({"trust_env": False} | options))

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As `AppClient.send`."""
        if not _wants_sealed(request, self.sealed):
            return await super().send(request, **_with_our_auth(options))
        cookies = httpx.Cookies(self.cookies)
        try:
            response = await super().send(request, **_with_our_auth(options) | {"stream": True})
            async with aclosing(response):
                pass
        finally:
            self.cookies = cookies  # as in `AppClient`
        answer = _outcome(request, response)
        self.cookies.extract_cookies(answer)
        return answer


def _wants_sealed(request: httpx.Request, sealed: frozenset[str]) -> bool:
    """Tell whether a sealed answer is wanted, and write that on the request, where its redirects find it."""
    wanted = request.extensions.setdefault(SEALED, request.url.path in sealed)
    if wanted is not False:
        request.extensions[_HEARING] = Sealed(wanted if isinstance(wanted, Path) else None)
        for name in [name for name in request.headers if name.startswith("if-") or name in _NEVER_SEALED]:
            del request.headers[name]
    return wanted is not False


def _hearing(request: httpx.Request) -> Hearing:
    hearing: Hearing = request.extensions.get(_HEARING, CLEAR)
    return hearing


def _outcome(request: httpx.Request, response: httpx.Response) -> httpx.Response:
    hearing: Sealed = request.extensions[_HEARING]
    if hearing.outcome is None:  # a redirect to elsewhere, which the conversation does not follow
        raise AnswerNotSealed(response)
    hearing.outcome.history = response.history
    with suppress(RuntimeError):  # not known of an answer that was given in process
        hearing.outcome.elapsed = response.elapsed
    return hearing.outcome


def _converse(
    device: Device, api: str, service: str, service_keys: Collection[str], clock: LearnedClock
) -> Conversation:
    return Conversation(
        device,
        service=httpx.URL(api).join(service),
        pinned=frozenset(service_keys),
        clock=clock,
        random=secrets.token_bytes,
    )


def _with_our_auth(options: dict[str, Any]) -> dict[str, Any]:
    if options.pop("auth", httpx.USE_CLIENT_DEFAULT) is not httpx.USE_CLIENT_DEFAULT:
        message = "requests are signed by the client; send credentials as headers"
        raise TypeError(message)
    return options | {"follow_redirects": False}
