"""What a thief has: endpoints, an account, somebody's bearer, somebody's whole requests."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec.jwk import from_public, thumbprint
from bonafide.proof.http_signature import CLIENT_ATTESTATION, HardwareSigner
from demonstration.forging import sign_freely
from demonstration.guarded import GATE_WORKERS
from demonstration.trial import Trial, attack
from demonstration.world import now

if TYPE_CHECKING:
    from demonstration.guarded import GuardedServer
    from demonstration.wire import Answer, RawRequest
    from demonstration.world import World

MAX_TRIES: Final = 100
BURST: Final = 8


@attack
def no_attestation(world: World) -> Trial:
    """A script that knows every endpoint and has an account of its own."""
    mallory = world.people["mallory"]
    return world.trial(world.bearer_alone(mallory), world.signed(mallory, "GET", "/api/me"))


@attack
def stolen_bearer(world: World) -> Trial:
    """A customer's bearer token, and nothing else of hers."""
    ada = world.people["ada"]
    return world.trial(world.bearer_alone(ada), world.signed(ada, "GET", "/api/me"))


@attack
def stolen_attestation(world: World) -> Trial:
    """A customer's client attestation beside her bearer, without any proof."""
    twin = world.signed(world.people["ada"], "GET", "/api/me")
    return world.trial(twin.without("signature").without("signature-input"), twin)


@attack
def stolen_attestation_and_own_key(world: World) -> Trial:
    """The same with a proof by the thief's own key, named as such."""
    twin = world.signed(world.people["ada"], "GET", "/api/me")
    key = ec.generate_private_key(ec.SECP256R1())
    signer = HardwareSigner(key, thumbprint(from_public(key.public_key())))
    forged = sign_freely(twin, signer, created=_seconds(), nonce=world.nonce())
    return world.trial(forged, twin)


@attack
def stolen_attestation_and_her_key_named(world: World) -> Trial:
    """The same, naming the customer's key and signed by the thief's."""
    ada = world.people["ada"]
    twin = world.signed(ada, "GET", "/api/me")
    signer = HardwareSigner(ec.generate_private_key(ec.SECP256R1()), ada.hardware.key_id)
    return world.trial(sign_freely(twin, signer, created=_seconds(), nonce=world.nonce()), twin)


@attack
def stolen_attestation_in_another_proof(world: World) -> Trial:
    """A customer's client attestation in a request that the attacker's own genuine phone signed."""
    ada, mallory = world.people["ada"], world.people["mallory"]
    mine = world.signed(mallory, "GET", "/api/me", headers={"Authorization": f"Bearer {ada.bearer}"})
    return world.trial(mine.with_header(CLIENT_ATTESTATION, ada.attestation), world.signed(ada, "GET", "/api/me"))


@attack
def another_users_bearer_in_a_genuine_app(world: World) -> Trial:
    """A customer's bearer, lifted by a proxy, in the genuine app on the attacker's phone."""
    ada, mallory = world.people["ada"], world.people["mallory"]
    lifted = world.signed(mallory, "GET", "/api/me", headers={"Authorization": f"Bearer {ada.bearer}"})
    return world.trial(lifted, world.signed(ada, "GET", "/api/me"))


@attack
def replayed_to_the_same_worker(world: World) -> Trial:
    """A whole recorded request again, to the worker process that answered it."""
    return _replay(world, same_worker=True)


@attack
def replayed_to_another_worker(world: World) -> Trial:
    """A whole recorded request again, to another worker process."""
    return _replay(world, same_worker=False)


def _replay(world: World, *, same_worker: bool) -> Trial:
    twin = world.signed(world.people["ada"], "POST", "/api/orders", body=_ORDER, headers=_JSON)
    first: list[str] = []

    def control() -> Answer:
        answer = world.send(twin)
        first.append(answer.worker)
        return answer

    def replay() -> Answer:
        if world.guarded is not None:
            return _send_until_all_refused(world, world.guarded, twin)
        for _ in range(MAX_TRIES):
            answer = _send_past_a_busy_worker(world, twin)
            if answer.status != 401 or (answer.worker == first[0]) is same_worker:  # noqa: PLR2004 - what refuses
                return answer
        message = "no answer of the wanted worker"
        raise RuntimeError(message)

    return Trial(before=lambda: world.send_open(twin), attack=replay, control=control, control_first=True)


def _send_until_all_refused(world: World, guarded: GuardedServer, request: RawRequest) -> Answer:
    """Send many at once, until each process of the gate has refused one: the one that admitted it is among them."""
    refused: set[str] = set()
    with ThreadPoolExecutor(max_workers=BURST) as pool:
        for _ in range(MAX_TRIES):
            answers = list(pool.map(world.send, [request] * BURST))
            let_in = [answer for answer in answers if answer.status != 401]  # noqa: PLR2004 - what refuses
            if let_in:
                return let_in[0]
            refused |= {guarded.worker_of(answer.headers["bonafide-record"]) for answer in answers} - {""}
            if len(refused) == GATE_WORKERS:
                return answers[0]
    message = f"only {len(refused)} of the gate's processes answered"
    raise RuntimeError(message)


def _send_past_a_busy_worker(world: World, request: RawRequest) -> Answer:
    """Occupy one worker with a connection that says nothing, so that the answer comes from the other."""
    with socket.create_connection(("127.0.0.1", world.locked.port)):
        return world.send(request)


@attack
def replayed_after_a_restart(world: World) -> Trial:
    """A whole recorded request again, after all processes of the server were ended and started anew."""
    twin = world.signed(world.people["ada"], "POST", "/api/orders", body=_ORDER, headers=_JSON)

    def replay() -> Answer:
        world.locked.stop()
        world.locked.start()
        world.locked.wait()
        return world.send(twin)

    return Trial(
        before=lambda: world.send_open(twin), attack=replay, control=lambda: world.send(twin), control_first=True
    )


@attack
def proof_created_long_ago(world: World) -> Trial:
    """A proof made two minutes ago, sent for the first time now."""
    return _created(world, -120)


@attack
def proof_created_in_the_future(world: World) -> Trial:
    """A proof made now for use in a minute."""
    return _created(world, 60)


def _created(world: World, offset: int) -> Trial:
    ada = world.people["ada"]
    twin = world.signed(ada, "GET", "/api/me")
    return world.trial(sign_freely(twin, ada.session, created=_seconds() + offset, nonce=world.nonce()), twin)


_ORDER: Final = b'{"item":"abacus","quantity":1}'
_JSON: Final = {"Content-Type": "application/json"}


def _seconds() -> int:
    return int(now().timestamp())
