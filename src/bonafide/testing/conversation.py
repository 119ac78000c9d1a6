"""What an app says to service and API, and how far it obeys their answers (PROTOCOL sections 2 to 5).

A conversation is a generator of requests: it yields what to send, or how long to wait, and is given the
answers. So the same words serve a synchronous and an asynchronous client, and tests that play the network.

Rules of this file: every hint is followed at most a bounded number of times; a request that may have
had an effect is repeated only where repeating is harmless; nothing is believed that is not signed by a
pinned service key, except hints.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NoReturn

import httpx

from bonafide import sealing
from bonafide.codec import base64url, json
from bonafide.errors import BonafideError
from bonafide.proof.http_signature import HardwareSigner, SessionSigner
from bonafide.reasons import Action
from bonafide.session import mac_key, open_session, seal_response_key
from bonafide.terms import ProofKind
from bonafide.testing import dpop
from bonafide.testing.device import (
    Enrolled,
    KeyUnusable,
    PendingMessage,
    enrolment_message,
    renewal_message,
)
from bonafide.testing.hints import (
    AnswerRefused,
    OutcomeUnknown,
    Pause,
    Refused,
    Steps,
    Stopped,
    action_of,
    retry_after,
)
from bonafide.testing.sealed_answers import CLEAR, Hearing
from bonafide.testing.service_answers import read_object, read_seconds, read_text
from bonafide.testing.signed_request import SAFE_METHODS, prove, redirected, signature_base

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.sealing import AnswerKey
    from bonafide.session import Session
    from bonafide.testing.clock import LearnedClock
    from bonafide.testing.device import Device

MAX_REDIRECTS: Final = 5
MAX_WAITS: Final = 3
ENROL_AGAIN_EVERY_S: Final = 24 * 3600.0
NONCE_OCTETS: Final = 16


class Conversation:
    """One start of one app on one device, talking to one service and its API."""

    def __init__(
        self,
        device: Device,
        *,
        service: httpx.URL,
        pinned: frozenset[str],
        clock: LearnedClock,
        random: Callable[[int], bytes],
    ) -> None:
        """`service` is the URL of the endpoints' prefix, `pinned` the thumbprints of its service keys."""
        self._device = device
        self._keychain = device.keychain
        self._service = service
        self._pinned = pinned
        self._clock = clock
        self._random = random
        self._stopped: Action | None = None
        self._nonce = dpop.Nonce()

    @property
    def service_path(self) -> str:
        """The path under which the service's endpoints lie."""
        return self._service.path

    # Requests to the API ------------------------------------------------------------------------

    def request(self, request: httpx.Request, *, proof: ProofKind, hear: Hearing = CLEAR) -> Steps:
        """Send one request with a proof, and see it through. What was heard last is the outcome.

        Raises `OutcomeUnknown`, and what `hear` raises of an answer that is not what the caller wants.
        """
        yield from self.make_ready()
        seen: Counter[Action] = Counter()
        redirects = 0
        while True:
            if proof is ProofKind.DPOP and self._nonce.at(self._clock.now()) is None:
                yield from self._challenge("pop")  # first: a refused request is not always one that may be repeated
            self.sign(request, proof=proof)
            key = self.answer_key(request) if hear.needs_key else None
            response = yield request
            self._clock.learn(response.headers.get("date"))
            brought_nonce = self._nonce.learn(response, self._clock.now())
            response = hear.hear(response, key)
            following = redirected(request, response)
            if following is not None and redirects < MAX_REDIRECTS:
                request, redirects = following, redirects + 1
                continue
            action = action_of(response) if response.is_error else None
            if action is None or action in _TERMINAL or not self._may_follow(action, seen):
                hear.conclude(response)
                return
            if not _repeatable(request):
                if action is Action.RENEW_WITH_ASSERTION:  # whoever decides to send it again has what it takes
                    yield from self._follow(action, response)
                raise OutcomeUnknown(request, response)
            if action in _BY_HARDWARE and not (proof is ProofKind.DPOP and brought_nonce):
                proof = ProofKind.HARDWARE  # also where the route demands it and the caller did not know
            yield from self._follow(action, response)

    def answer_key(self, request: httpx.Request) -> AnswerKey:
        """Return the key of the sealed answer to a request that `sign` has signed.

        Raises `AnswerRefused` where there is no session.
        """
        enrolled = self._keychain.enrolled
        if enrolled is None or enrolled.session is None:
            message = "a device without a session cannot be answered sealed"
            raise AnswerRefused(message)
        session = enrolled.session
        return sealing.answer_key(seal_response_key(session.key), sid=session.sid, base=signature_base(request))

    def learn_nonce(self, response: httpx.Response) -> None:
        """Keep the nonce that an answer brings for the next DPoP proof: for whoever signs and sends by themselves."""
        self._nonce.learn(response, self._clock.now())

    def _may_follow(self, action: Action, seen: Counter[Action]) -> bool:
        """Count this hint, and tell whether its bound still allows following it."""
        seen[action] += 1
        if action is Action.ENROL_AGAIN and not self._may_enrol_again():
            return False
        return seen[action] <= (MAX_WAITS if action is Action.BACK_OFF else 1)

    def _follow(self, action: Action, response: httpx.Response) -> Steps:
        if action is Action.BACK_OFF:
            yield Pause(retry_after(response))
        elif action is Action.ENROL_AGAIN:
            yield from self.enrol_again()
        elif action is Action.RENEW_WITH_ASSERTION:
            yield from self.renew_with_assertion()
        elif action in {Action.RENEW, Action.RETRY_WITH_CHALLENGE} or (
            action is Action.FIX_CLOCK and self._clock.trusted  # only a new session can correct it further
        ):
            yield from self.renew()

    def sign(self, request: httpx.Request, *, proof: ProofKind) -> None:
        """Give a request its target in the one spelling, digest, client attestation and proof; do not send it.

        Raises `RuntimeError` before enrolment, `MalformedEvidence` (`request.target_not_canonical`).
        """
        enrolled = self._keychain.enrolled
        if enrolled is None:
            message = "nothing to sign with"
            raise RuntimeError(message)
        if proof is ProofKind.DPOP:
            dpop.prove(
                request,
                self._keychain.sign_key,
                attestation=enrolled.client_attestation,
                issued_at=int(self._clock.now()),
                identifier=base64url.encode(self._random(NONCE_OCTETS)),
                nonce=self._nonce.at(self._clock.now()),
            )
            return
        session = enrolled.session
        signer: HardwareSigner | SessionSigner
        if proof is ProofKind.SESSION and session is not None:
            signer = SessionSigner(mac_key(session.key), base64url.encode(session.sid))
        else:
            signer = HardwareSigner(self._keychain.sign_key, self._keychain.jkt)
        self._prove(request, signer, enrolled.client_attestation)

    def _prove(self, request: httpx.Request, signer: HardwareSigner | SessionSigner, attestation: str | None) -> None:
        nonce = base64url.encode(self._random(NONCE_OCTETS))
        prove(request, signer, attestation=attestation, created=int(self._clock.now()), nonce=nonce)

    # Enrolment and renewal ----------------------------------------------------------------------

    def make_ready(self) -> Steps:
        """Enrol where that has not been done; renew early, and bear a failure while the old one lasts."""
        enrolled = self._keychain.enrolled
        if enrolled is None:
            yield from self.enrol()
        elif self._clock.now() >= enrolled.renew_at:
            try:
                yield from self.renew()
            except (Refused, AnswerRefused, Stopped):
                if self._clock.now() >= enrolled.expires_at:
                    raise

    def _may_enrol_again(self) -> bool:
        last = self._keychain.enrolled_again_at
        return last is None or self._clock.now() - last >= ENROL_AGAIN_EVERY_S

    def enrol_again(self) -> Steps:
        """Enrol with a new App Attest key under the same `sign` key. The caller has looked at the bound."""
        self._keychain.enrolled_again_at = self._clock.now()
        yield from self._enrol_afresh()

    def _enrol_afresh(self) -> Steps:
        self._keychain.enrolled = None
        self._keychain.enrolment = self._keychain.renewal = None
        self._keychain.attest_key = None
        yield from self.enrol()

    def enrol(self) -> Steps:
        """Enrol, going on with an enrolment that was begun and never answered.

        Raises `Refused`, `AnswerRefused`, `Stopped`, and what the device raises.
        """
        keychain = self._keychain
        renewed_challenge = False
        while True:
            if keychain.enrolment is None:
                challenge = yield from self._challenge("enrol")
                if keychain.attest_key is None:
                    keychain.attest_key = self._device.new_key()
                keychain.enrolment = enrolment_message(self._device, challenge, keychain.attest_key)
            pending = keychain.enrolment
            try:
                pending.evidence = self._device.attest(pending) if pending.evidence is None else pending.evidence
            except KeyUnusable:
                keychain.enrolment = keychain.attest_key = None
                if renewed_challenge:
                    raise
                renewed_challenge = True
                continue
            response = yield from self._post("/instances", pending.body(), signed=True)
            if response.status_code == httpx.codes.CREATED:
                self._adopt(response, pending)
                keychain.enrolment = None
                return
            if action_of(response) in _FRESH_KEY and not renewed_challenge:
                keychain.enrolment = keychain.attest_key = None  # an attested key cannot be attested again
                renewed_challenge = True
                continue
            self._refuse("enrolment", response)

    def renew(self) -> Steps:
        """Renew the client attestation and the session.

        Raises `Refused`, `AnswerRefused`, `Stopped`.
        """
        keychain = self._keychain
        enrolled = keychain.enrolled
        if enrolled is None:
            yield from self.enrol()
            return
        renewed_challenge = False
        while True:
            if keychain.renewal is None:
                challenge = enrolled.next_challenge
                if renewed_challenge or not challenge:
                    challenge = yield from self._challenge("renew")
                keychain.renewal = renewal_message(self._device, challenge, enrolled.instance)
            pending = keychain.renewal
            try:
                pending.evidence = (
                    self._device.make_assertion(pending) if pending.evidence is None else pending.evidence
                )
            except KeyUnusable:  # what the device knows needs no hint of the service, and no bound
                yield from self._enrol_afresh()
                return
            response = yield from self._post(f"/instances/{enrolled.instance}/renewals", pending.body(), signed=True)
            if response.status_code == httpx.codes.OK:
                self._adopt(response, pending)
                keychain.renewal = None
                return
            action = action_of(response)
            keychain.renewal = None
            if action is Action.RETRY_WITH_CHALLENGE and not renewed_challenge:
                renewed_challenge = True
                continue
            if action is Action.ENROL_AGAIN and self._may_enrol_again():
                yield from self.enrol_again()
                return
            self._refuse("renewal", response)

    def renew_with_assertion(self) -> Steps:
        """Renew with an assertion that is made now, whether or not one is due. Raises as `renew`.

        A renewal that was begun before may have been taken before: what it carries is then as old as that. A device
        that has no assertion to give renews by its key alone.
        """
        self._keychain.renewal = None
        yield from self.renew()

    def _challenge(self, purpose: str) -> Generator[httpx.Request | Pause, httpx.Response, str]:
        body = json.dump({"purpose": purpose, "app": self._device.build.app})
        response = yield from self._post("/challenge", body, signed=False)
        if response.status_code != httpx.codes.OK:
            self._refuse("challenge", response)
        self._nonce.learn(response, self._clock.now())
        return read_text(read_object(response), "attestation_challenge")

    def _post(
        self, path: str, body: bytes, *, signed: bool
    ) -> Generator[httpx.Request | Pause, httpx.Response, httpx.Response]:
        """Send a message to the service, waiting and correcting the clock as told, within bounds."""
        if self._stopped is not None:
            raise Stopped(self._stopped)
        seen: Counter[Action] = Counter()
        while True:
            response = yield self.compose(path, body, signed=signed)
            self._clock.learn(response.headers.get("date"))
            action = action_of(response) if response.is_error else None
            # The same pair may be repeated at will: the service answers it with the same instance.
            if action not in {Action.BACK_OFF, Action.FIX_CLOCK, Action.SIGN_AGAIN}:
                return response
            seen[action] += 1
            if seen[action] > (MAX_WAITS if action is Action.BACK_OFF else 1):
                return response
            if action is Action.BACK_OFF:
                yield Pause(retry_after(response))

    def compose(self, path: str, body: bytes, *, signed: bool = True) -> httpx.Request:
        """Return a message to the service at `path` below its prefix, with a proof by the `sign` key."""
        url = self._service.copy_with(path=self._service.path.rstrip("/") + path)
        request = httpx.Request("POST", url, content=body, headers={"content-type": "application/json"})
        if signed:
            self._prove(request, HardwareSigner(self._keychain.sign_key, self._keychain.jkt), None)
        return request

    def _refuse(self, doing: str, response: httpx.Response) -> NoReturn:
        """Raise what the caller learns; remember a service that wants no more of this app."""
        action = action_of(response)
        if action in _TERMINAL:
            self._stopped = action
        raise Refused(doing, response)

    def _adopt(self, response: httpx.Response, pending: PendingMessage) -> None:
        """Take over what the service issued, if the session is by a pinned key and for what was sent."""
        answer = read_object(response)
        instance = read_text(answer, "instance")
        keychain = self._keychain
        if keychain.enrolled is not None and keychain.enrolled.instance != instance:
            message = "a renewal answered for another instance"
            raise AnswerRefused(message)
        lifetime = read_seconds(answer, "expires_in")
        issued_at = self._clock.now()
        session = None
        if keychain.agree_key is not None:
            session = self._open(read_text(answer, "session"), keychain.agree_key, instance, pending.challenge)
            self._clock.trust(session.issued_at)
            issued_at = session.issued_at.timestamp()
            lifetime = (session.expires_at - session.issued_at).total_seconds()
        keychain.enrolled = Enrolled(
            instance=instance,
            client_attestation=read_text(answer, "client_attestation"),
            session=session,
            renew_at=issued_at + min(read_seconds(answer, "renew_after"), lifetime),
            expires_at=issued_at + lifetime,
            next_challenge=read_text(answer, "next_challenge"),
        )

    def _open(self, token: str, agree_key: ec.EllipticCurvePrivateKey, instance: str, challenge: str) -> Session:
        try:
            return open_session(
                token,
                agree_key=agree_key,
                pinned=self._pinned,
                app=self._device.build.app,
                instance=instance,
                jkt=self._keychain.jkt,
                challenge=challenge,
            )
        except BonafideError as error:
            raise AnswerRefused(error.reason.code) from None


_TERMINAL: Final = frozenset([Action.GIVE_UP, Action.UPDATE_APP])
_BY_HARDWARE: Final = frozenset([Action.SIGN_AGAIN, Action.RENEW_WITH_ASSERTION])
_FRESH_KEY: Final = frozenset([Action.RETRY_WITH_CHALLENGE, Action.ENROL_AGAIN])


def _repeatable(request: httpx.Request) -> bool:
    return request.method in SAFE_METHODS or "idempotency-key" in request.headers
