"""A route that wants fresh evidence: the phone has just proved its App Attest key again, or the route stays closed.

What the attacker has here is all but that: a genuine client attestation of another minute, and its key.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bonafide.proof.http_signature import CLIENT_ATTESTATION
from bonafide.terms import ProofKind
from demonstration.forging import open_token, sign_freely, sign_token
from demonstration.trial import Trial, attack

if TYPE_CHECKING:
    from demonstration.wire import RawRequest
    from demonstration.world import Person, World

TARGET: Final = "/api/me/address"
FRESH_S: Final = 30
"""What routes.toml says of it."""

_ADDRESS: Final = b'{"address":"Quai 1"}'
_JSON: Final = {"Content-Type": "application/json"}


def _signed(world: World, who: Person, proof: ProofKind) -> RawRequest:
    return world.signed(who, "PUT", TARGET, body=_ADDRESS, headers=_JSON, proof=proof)


@attack
def evidence_of_another_minute(world: World) -> Trial:
    """A client attestation whose evidence has become too old by a second, in a hardware proof by its key."""
    mallory = world.people["mallory"]
    mallory.client.renew()
    twin = _signed(world, mallory, ProofKind.HARDWARE)
    header, claims = open_token(mallory.attestation)
    stale = {"bonafide": claims["bonafide"] | {"ast": int(time.time()) - FRESH_S - 1}}
    # Signed as the operator, instead of waiting for as long.
    token = sign_token(header, claims | stale, world.operator.signing_key().private_key)
    carrying = twin.with_header(CLIENT_ATTESTATION, token)
    signed = sign_freely(carrying, mallory.hardware, created=int(time.time()), nonce=world.nonce())
    return world.trial(signed, twin)


@attack
def fresh_evidence_and_a_session_proof(world: World) -> Trial:
    """The session's key, as it can be read out of a running app (N4), beside evidence that is fresh."""
    mallory = world.people["mallory"]
    mallory.client.renew()
    return world.trial(_signed(world, mallory, ProofKind.SESSION), _signed(world, mallory, ProofKind.HARDWARE))
