"""The demo's attacks as octets, each with the verdict that `attacks.toml` says it gets behind Nginx.

The attacks are the demo's own functions (`examples/django_api/demonstration`), run in a world that has phones but no
servers: what they would send is taken from them. Left to the demo are those that never come to a gate: on
enrolment, on renewing, on starting with wrong settings, on a proxy's way to the service and on its way back to the app.
A proxy's edits come to a gate as the edits of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.asymmetric import ec
from demonstration import edits, theft, tokens
from demonstration.forging import open_token, sign_freely
from demonstration.trial import ATTACKS, Row, read_rows
from demonstration.wire import RawRequest
from demonstration.world import now

from bench.gate.phones import ISSUING, make_phone, new_nonce
from bench.gate.processes import HOST
from bonafide.keys import SigningKey
from bonafide.proof.http_signature import CLIENT_ATTESTATION, SessionSigner
from soak.phones import signed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from demonstration.world import World

    from soak.phones import Fleet, Person

_ATTACKS_MODULES: Final = (edits, theft, tokens)
"""Importing them enters their attacks."""

ROWS: Final = {row.name: row.behind_nginx() for row in read_rows()}

SAME_ON_THE_WIRE: Final = {
    "proxy_changes_the_query": "query_changed",
    "proxy_changes_the_body": "body_changed",
    "proxy_changes_the_bearer": "authorization_changed",
    "proxy_repeats_a_request": "replayed_to_the_same_worker",
    "replayed_to_another_worker": "replayed_to_the_same_worker",
}
"""Attacks that come to a gate as another one does; which worker a replay meets is not the sender's choice."""

REPLAYS: Final = ("replayed_to_the_same_worker", "replayed_after_a_restart")
NOT_AT_A_GATE: Final = frozenset(
    (
        "proxy_replaces_the_session",
        "proxy_replaces_the_agree_key",
        "production_told_to_believe_debug_evidence",
        "production_told_to_believe_a_test_root",
        "attestation_of_another_app",
        "another_app_by_its_own_name",
        "development_build",
        "attestation_under_a_look_alike_root",
        "test_world_in_production",
        "no_evidence",
        "challenge_of_another_purpose",
        "challenge_of_another_app",
        "challenge_made_up",
        "challenge_spent_with_another_body",
        "assertion_with_an_old_counter",
        "two_assertions_racing",
        "debug_evidence_in_production",
        "debug_evidence_without_the_secret",
        "evidence_of_another_minute",
        "fresh_evidence_and_a_session_proof",
        "proxy_forges_the_pins",
        "proxy_brings_back_old_pins",
        "proxy_leads_to_a_route_in_clear",
        *(name for name, row in ROWS.items() if row.answered),
    )
)
KINDS: Final = tuple(sorted(name for name in ROWS if name not in NOT_AT_A_GATE | SAME_ON_THE_WIRE.keys()))
"""Every kind that a soak sends."""

_ORDER: Final = b'{"item":"abacus","quantity":1}'
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assault:
    """One attack: the genuine request before it, if any, the attack, and the untouched twin after it, if any."""

    row: Row
    attack: RawRequest
    first: tuple[RawRequest, Person] | None = None
    twin: tuple[RawRequest, Person] | None = None


def assault(kind: str, fleet: Fleet) -> Assault:
    """Return an attack of this kind."""
    world = _World(fleet)
    row = ROWS[kind]
    if kind in REPLAYS:
        request = signed(world.people["ada"], "POST", "/api/orders", body=_ORDER, headers=_JSON)
        return Assault(row=row, attack=request, first=(request, world.people["ada"]))
    special = _SPECIAL.get(kind)
    if special is not None:
        return Assault(row=row, attack=special(world))
    attack, twin = cast("tuple[RawRequest, RawRequest]", ATTACKS[kind](cast("World", world)))
    return Assault(row=row, attack=attack, twin=(twin, world.author(twin)))


class _World:
    """What the demo's attacks ask of `demonstration.world.World`, over phones without servers."""

    def __init__(self, fleet: Fleet) -> None:
        self.people: dict[str, Person] = {name: fleet.pick() for name in ("ada", "grace", "alan", "mallory")}
        while self.people["mallory"] is self.people["ada"]:
            self.people["mallory"] = fleet.pick()
        while self.people["grace"] is self.people["ada"]:
            self.people["grace"] = fleet.pick()
        self.users = {"ada": 1, "grace": 2, "alan": 3, "mallory": 4}
        self.locked = SimpleNamespace(origin=f"https://{HOST}", authority=HOST, port=443)
        self.operator = SimpleNamespace(signing_key=lambda: ISSUING.signing_key)

    def signed(self, who: Person, method: str, target: str, **how: Any) -> RawRequest:
        return signed(who, method, target, **how)

    def nonce(self) -> str:
        return new_nonce()

    def bearer_alone(self, who: Person, target: str = "/api/me", method: str = "GET") -> RawRequest:
        headers = (("Host", HOST), ("Authorization", f"Bearer {who.bearer}"))
        return RawRequest(method=method, target=target, headers=headers)

    def trial(self, attack: RawRequest, twin: RawRequest) -> tuple[RawRequest, RawRequest]:
        return attack, twin

    def author(self, request: RawRequest) -> Person:
        token = request.find(CLIENT_ATTESTATION)
        return next(person for person in self.people.values() if person.attestation == token)


def _of_another_environment(world: _World) -> RawRequest:
    """A genuine attestation of another deployment, whose keys are its own, on the attacker's own phone."""
    other = make_phone(replace(ISSUING, signing_key=_STAGING), now())
    mallory = world.people["mallory"]
    twin = signed(mallory, "GET", "/api/me").with_header(CLIENT_ATTESTATION, other.attestation)
    return sign_freely(twin, mallory.hardware, created=int(now().timestamp()), nonce=world.nonce())


def _reading_the_session(world: _World) -> RawRequest:
    """The proxy saw the enrolment, and signs with the best that it has seen: the session's public id."""
    request = signed(world.people["ada"], "GET", "/api/me")
    sid = open_token(world.people["ada"].attestation)[1]["bonafide"]["sid"]
    guess = SessionSigner(sid.encode() + bytes(10), sid)
    return sign_freely(request, guess, created=int(now().timestamp()), nonce=world.nonce())


_STAGING: Final = SigningKey.of(ec.generate_private_key(ec.SECP256R1()))
_SPECIAL: Final[Mapping[str, Callable[[_World], RawRequest]]] = {
    "token_of_another_environment": _of_another_environment,
    "proxy_reads_the_session": _reading_the_session,
}
EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "django_api"
