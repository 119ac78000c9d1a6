"""What a service tells its gates: keys, bans, openings. And how a gate asks (docs/adr/0011).

A gate has a P-256 key of its own. It signs what it asks; the answer is signed by the service key, whose
thumbprint the gate pins, and sealed to the gate's key. So nothing depends on the transport between them: not
the secrecy of the gate keys, and not that a gate learns of a ban, because the answer repeats the ask's random id
also where nothing changed (an HTTP 304 could be forged). The last answer may lie on the gate's disk as it came.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url, jose, json, jwe, jwk, pinned_jws
from bonafide.errors import MalformedEvidence, VerificationFailed
from bonafide.keys import GATE_KEY_OCTETS, PRIVATE_KEY_OCTETS, GateKey, PublishedKey, VerificationKey, private_key_from
from bonafide.reasons import provision as reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.keys import ServiceKey
    from bonafide.terms import Environment

ASK_TYPE: Final = "bonafide-gate-ask+jwt"
ANSWER_TYPE: Final = "bonafide-provision+jwt"
MAX_ASK_BYTES: Final = 2048
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Half a million bans within two hours, and what wraps them."""

ASK_LIFETIME_S: Final = 15
"""How far a service's clock may be ahead of a gate's."""

MAX_AHEAD_S: Final = 5
RAMP_KEY_OCTETS: Final = 32

_ASK_ID_OCTETS: Final = 16
_IV_OCTETS: Final = 12
_ASK_TEXTS: Final = ("gate", "iss", "env", "jti", "have")
_ANSWER_TEXTS: Final = ("gate", "env", "aud", "jti", "tag")
_STATE: Final = ("keys", "gate_keys", "instances", "jkts", "openings", "ramp")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """All that a gate needs of its service. `ramp_key` (32 octets) keys the buckets of rehearsals.

    `revoked_*` are the bans of the last two hours, `openings` signed statements (`bonafide.opening`).
    """

    keys: tuple[PublishedKey, ...]
    gate_keys: tuple[GateKey, ...]
    revoked_instances: frozenset[str]
    revoked_jkts: frozenset[str]
    openings: tuple[str, ...]
    ramp_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SerialisedState:
    """A state as it is sent, and the tag by which a gate says that it has it."""

    body: dict[str, object] = field(repr=False)
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """An ask that was read. It proves nothing before `verify_ask`: `gate` says whose key to look up."""

    gate: str
    issuer: str
    environment: str
    id: str
    have: str
    issued_at: datetime
    jws: jose.Jws


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenAsk:
    """What the named gate asked, a moment ago. `have` is the tag of the state that it holds, or empty."""

    gate: str
    environment: Environment
    id: str
    have: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the service said at `issued_at`. `state` is None where the state of this `tag` still holds."""

    issued_at: datetime
    tag: str
    id: str
    state: GateState | None


def issue_ask(
    *,
    gate: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    environment: Environment,
    have: str,
    now: datetime,
    random: Callable[[int], bytes],
) -> tuple[str, str]:
    """Return what a gate sends, and the id that the answer must repeat. `have` is the tag that it holds, or empty."""
    ask_id = base64url.encode(random(_ASK_ID_OCTETS))
    body = {
        "gate": gate,
        "iss": issuer,
        "env": environment,
        "jti": ask_id,
        "have": have,
        "iat": int(now.timestamp()),
    }
    return jose.sign_es256({"alg": "ES256", "typ": ASK_TYPE}, json.dump(body), key), ask_id


def parse_ask(token: str) -> Ask:
    """Read an ask. Proves nothing.

    Raises `MalformedEvidence` (`provision.ask_malformed`).
    """
    try:
        jws = jose.parse_jws(token, max_bytes=MAX_ASK_BYTES)
        body = json.parse_object(jws.payload, max_bytes=MAX_ASK_BYTES)
        issued_at = _time(body.pop("iat"))
        gate, issuer, environment, ask_id, have = _texts(body, _ASK_TEXTS)
    except (KeyError, TypeError, ValueError, OverflowError, OSError, MalformedEvidence):
        raise MalformedEvidence(reasons.ASK_MALFORMED) from None
    if jws.header != {"alg": "ES256", "typ": ASK_TYPE}:
        raise MalformedEvidence(reasons.ASK_MALFORMED, "header")
    return Ask(gate=gate, issuer=issuer, environment=environment, id=ask_id, have=have, issued_at=issued_at, jws=jws)


def verify_ask(
    ask: Ask, *, key: ec.EllipticCurvePublicKey | None, issuer: str, environment: Environment, now: datetime
) -> ProvenAsk:
    """Verify an ask; `key` is the one that `ask.gate` is registered with, None where there is none.

    Proves that this gate asked this service within the last 15 s. Not proven: that it asks for the first time. An ask
    that is sent again brings an answer that nobody but the gate can read, and that repeats the old id.

    Raises `VerificationFailed` (`provision.gate_unknown`, `provision.ask_*`).
    """
    if key is None:
        raise VerificationFailed(reasons.GATE_UNKNOWN)
    try:
        jose.verify_es256(ask.jws, key)
    except VerificationFailed:
        raise VerificationFailed(reasons.ASK_SIGNATURE_INVALID, ask.gate) from None
    if ask.issuer != issuer or ask.environment != environment:
        raise VerificationFailed(reasons.ASK_ELSEWHERE, ask.gate)
    age = now.timestamp() - ask.issued_at.timestamp()
    if not -MAX_AHEAD_S <= age <= ASK_LIFETIME_S:
        raise VerificationFailed(reasons.ASK_STALE, f"{ask.gate}: {age:.0f} s old")
    return ProvenAsk(gate=ask.gate, environment=environment, id=ask.id, have=ask.have)


def serialise(state: GateState) -> SerialisedState:
    """Return the state as it is sent. Equal states have equal tags; do it once for each change."""
    body: dict[str, object] = {
        "keys": [
            {"app": key.app, "kid": key.key.kid, "jwk": jwk.from_public(key.key.public_key)} for key in state.keys
        ],
        "gate_keys": [
            {
                "kid": key.kid,
                "key": base64url.encode(key.secret),
                "aud": key.audience,
                "nbf": int(key.not_before.timestamp()),
                "exp": int(key.erase_after.timestamp()),
            }
            for key in state.gate_keys
        ],
        "instances": sorted(state.revoked_instances),
        "jkts": sorted(state.revoked_jkts),
        "openings": list(state.openings),
        "ramp": base64url.encode(state.ramp_key),
    }
    return SerialisedState(body, base64url.encode(sha256(json.dump(body)).digest()))


def issue_answer(
    ask: ProvenAsk,
    state: SerialisedState,
    *,
    audience: str,
    service_key: ServiceKey,
    recipient: ec.EllipticCurvePublicKey,
    now: datetime,
    random: Callable[[int], bytes],
) -> str:
    """Return the answer to a proven ask, sealed to the gate's registered key `recipient`.

    `audience` is the one that the gate is registered for, whose gate keys `state` holds. Where the gate has this
    state already, it is left out.
    """
    body: dict[str, object] = {
        "gate": ask.gate,
        "env": ask.environment,
        "aud": audience,
        "jti": ask.id,
        "tag": state.tag,
        "iat": int(now.timestamp()),
    }
    if ask.have != state.tag:
        body["state"] = state.body
    signed = pinned_jws.sign(json.dump(body), typ=ANSWER_TYPE, key=service_key.private_key)
    return jwe.encrypt(
        signed.encode("ascii"),
        recipient=recipient,
        header={"cty": "JWT"},
        ephemeral=private_key_from(random(PRIVATE_KEY_OCTETS)),
        iv=random(_IV_OCTETS),
    )


def open_answer(
    token: str,
    *,
    key: ec.EllipticCurvePrivateKey,
    pinned: Collection[str],
    gate: str,
    environment: Environment,
    audience: str,
    ask_id: str | None,
) -> Answer:
    """Open an answer as the gate does; `pinned` are the thumbprints of the service key and its spare.

    `ask_id` is the id of the ask that it answers; None is for an answer that the gate kept on its disk, whose
    age the caller judges by `issued_at`. Proves that the service said this to this gate, and with
    `ask_id` that it said it after the ask. Not proven: that nothing has changed since.

    Raises `MalformedEvidence` (`provision.answer_malformed`) and `VerificationFailed`
    (`provision.answer_not_ours`, `provision.answer_elsewhere`).
    """
    answer, body = _parse_answer(_signed_by_service(token, key, pinned))
    if (body["gate"], body["env"], body["aud"]) != (gate, environment, audience):
        raise VerificationFailed(reasons.ANSWER_ELSEWHERE, "gate, environment or audience")
    if ask_id is not None and answer.id != ask_id:
        raise VerificationFailed(reasons.ANSWER_ELSEWHERE, "not to this ask")
    return answer


def _signed_by_service(token: str, key: ec.EllipticCurvePrivateKey, pinned: Collection[str]) -> bytes:
    try:
        header, signed = jwe.decrypt(token, key=key, max_bytes=MAX_ANSWER_BYTES)
        if header.keys() != {"alg", "enc", "epk", "cty"} or header["cty"] != "JWT":
            raise MalformedEvidence(reasons.ANSWER_MALFORMED, "header")
        return pinned_jws.verify(
            signed.decode("ascii", "replace"), typ=ANSWER_TYPE, pinned=pinned, max_bytes=MAX_ANSWER_BYTES
        )
    except MalformedEvidence as error:
        raise MalformedEvidence(reasons.ANSWER_MALFORMED, error.reason.code) from None
    except VerificationFailed as error:
        raise VerificationFailed(reasons.ANSWER_NOT_OURS, error.reason.code) from None


def _parse_answer(payload: bytes) -> tuple[Answer, Mapping[str, str]]:
    try:
        body = json.parse_object(payload, max_bytes=MAX_ANSWER_BYTES)
        issued_at, state = _time(body.pop("iat")), body.pop("state", None)
        texts = dict(zip(_ANSWER_TEXTS, _texts(body, _ANSWER_TEXTS), strict=True))
        answer = Answer(
            issued_at=issued_at,
            tag=texts["tag"],
            id=texts["jti"],
            state=None if state is None else _parse_state(_members(state, _STATE)),
        )
    except (KeyError, TypeError, ValueError, OverflowError, OSError, MalformedEvidence):
        raise MalformedEvidence(reasons.ANSWER_MALFORMED, "members") from None
    return answer, texts


def _parse_state(body: Mapping[str, object]) -> GateState:
    keys, gate_keys, instances, jkts, openings = (_list(body[name]) for name in _STATE[:5])
    ramp_key = base64url.decode(_text(body["ramp"]))
    if len(ramp_key) != RAMP_KEY_OCTETS:
        raise ValueError
    return GateState(
        keys=tuple(map(_parse_key, keys)),
        gate_keys=tuple(map(_parse_gate_key, gate_keys)),
        revoked_instances=frozenset(map(_text, instances)),
        revoked_jkts=frozenset(map(_text, jkts)),
        openings=tuple(map(_text, openings)),
        ramp_key=ramp_key,
    )


def _parse_key(entry: object) -> PublishedKey:
    body = _members(entry, ("app", "kid", "jwk"))
    public = body["jwk"]
    if not isinstance(public, dict):
        raise TypeError
    key = VerificationKey.of(jwk.parse_public(public))
    if key.kid != body["kid"]:
        raise ValueError
    return PublishedKey(app=_text(body["app"]), key=key)


def _parse_gate_key(entry: object) -> GateKey:
    body = _members(entry, ("kid", "key", "aud", "nbf", "exp"))
    secret = base64url.decode(_text(body["key"]))
    if len(secret) != GATE_KEY_OCTETS:
        raise ValueError
    return GateKey(
        kid=_text(body["kid"]),
        secret=secret,
        audience=_text(body["aud"]),
        not_before=_time(body["nbf"]),
        erase_after=_time(body["exp"]),
    )


def _members(value: object, names: Collection[str]) -> Mapping[str, object]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise TypeError
    return value


def _texts(body: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_text(value) for value in map(_members(body, names).__getitem__, names))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    if type(value) is not int:
        raise TypeError
    return datetime.fromtimestamp(value, UTC)
