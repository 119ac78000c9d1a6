"""Client attestations that are wrong in one respect and right in all others.

Each is sent from the attacker's own genuine phone, whose key is the one that the token names, with a proof
made over this very token: nothing but the token can be what is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.codec.jwk import from_public
from bonafide.proof.http_signature import CLIENT_ATTESTATION
from bonafide.testing.simulator import Simulator
from demonstration.forging import mac_token, open_token, sign_freely, sign_token, unsigned_token
from demonstration.trial import Trial, attack
from demonstration.world import BUILD

if TYPE_CHECKING:
    from demonstration.wire import RawRequest
    from demonstration.world import World

Forge = Callable[["World", dict[str, Any], dict[str, Any]], str]


def _trial(world: World, forge: Forge) -> Trial:
    mallory = world.people["mallory"]
    twin = world.signed(mallory, "GET", "/api/me")
    header, claims = open_token(mallory.attestation)
    return world.trial(_carrying(world, twin, forge(world, header, claims)), twin)


def _carrying(world: World, request: RawRequest, token: str) -> RawRequest:
    """Put another token into the request, and sign it by the phone's `sign` key."""
    carrying = request.with_header(CLIENT_ATTESTATION, token)
    signer = world.people["mallory"].hardware
    return sign_freely(carrying, signer, created=int(time.time()), nonce=world.nonce())


def _issued(**changes: Any) -> Forge:
    """By the service's own signing key, as only the operator of this demo can."""

    def forge(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
        ours = claims["bonafide"] | changes.get("bonafide", {})
        return sign_token(header, claims | changes | {"bonafide": ours}, world.operator.signing_key().private_key)

    return forge


def _expired(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    late = {"iat": claims["iat"] - 600, "exp": claims["iat"] - 300}
    return sign_token(header, claims | late, world.operator.signing_key().private_key)


def _for_an_authorization_server(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    bare = {name: value for name, value in claims.items() if name != "bonafide"}
    return sign_token(header, bare, world.operator.signing_key().private_key)


def _edited(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return sign_token(header, claims | {"exp": claims["exp"] + 3000}, ec.generate_private_key(ec.SECP256R1()))


def _foreign_kid(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return sign_token(header | {"kid": "A" * 43}, claims, ec.generate_private_key(ec.SECP256R1()))


def _embedded_jwk(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return sign_token(header | {"jwk": from_public(key.public_key())}, claims, key)


def _remote_keys(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return sign_token(header | {"jku": "https://evil.example/jwks.json"}, claims, key)


def _none(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return unsigned_token(header | {"alg": "none"}, claims)


def _mac_by_public_key(world: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    public = world.operator.signing_key().public.public_key
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return mac_token(header | {"alg": "HS256"}, claims, pem)


def _malformed(_: World, header: dict[str, Any], claims: dict[str, Any]) -> str:
    return unsigned_token(header, claims).rstrip(".")


FORGED: Final[dict[str, Forge]] = {
    "token_expired": _expired,
    "token_of_a_foreign_issuer": _issued(iss="https://evil.example"),
    "token_for_another_audience": _issued(aud="https://other.example"),
    "token_of_another_app": _issued(sub="flashlight"),
    "token_on_development_evidence": _issued(bonafide={"env": "development"}),
    "token_of_too_low_a_tier": _issued(bonafide={"tier": "none"}),
    "token_for_an_authorization_server": _for_an_authorization_server,
    "token_edited": _edited,
    "token_with_alg_none": _none,
    "token_with_hs256_by_the_public_key": _mac_by_public_key,
    "token_with_a_foreign_kid": _foreign_kid,
    "token_with_an_embedded_jwk": _embedded_jwk,
    "token_with_a_jku": _remote_keys,
    "token_malformed": _malformed,
}


def _enter(name: str, forge: Forge) -> None:
    def run(world: World) -> Trial:
        return _trial(world, forge)

    run.__name__ = name
    attack(run)


for _name, _forge in FORGED.items():
    _enter(_name, _forge)


@attack
def token_of_another_environment(world: World) -> Trial:
    """A genuine token of the staging deployment, where a simulator got it with a debug secret."""
    simulator = Simulator(BUILD, world.debug_secret, clock=time.time)
    world.client(simulator, world.staging).enrol()
    enrolled = simulator.keychain.enrolled
    twin = world.signed(world.people["mallory"], "GET", "/api/me")
    return world.trial(_carrying(world, twin, enrolled.client_attestation if enrolled else ""), twin)
