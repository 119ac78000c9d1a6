"""What a proxy can do to a genuine request: change, add and leave out, one thing at a time.

Each edit stands beside the request that the genuine app signed; the request itself, untouched, is the twin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bonafide.proof.http_signature import CLIENT_ATTESTATION
from demonstration.forging import components_of, digest_of, sign_freely
from demonstration.trial import Trial, attack
from demonstration.wire import RawRequest
from demonstration.world import now

if TYPE_CHECKING:
    from demonstration.world import World

ORDER: Final = b'{"item":"abacus","quantity":1}'
MORE: Final = b'{"item":"abacus","quantity":9}'

Twin = Callable[["World"], RawRequest]
Edit = Callable[["World", RawRequest], RawRequest]


def account(world: World) -> RawRequest:
    """A customer looks at her account."""
    return world.signed(world.people["ada"], "GET", "/api/me")


def profile(world: World) -> RawRequest:
    """A customer looks at her own profile."""
    return world.signed(world.people["ada"], "GET", f"/api/users/{world.users['ada']}")


def page(world: World) -> RawRequest:
    """A customer looks at her orders."""
    return world.signed(world.people["ada"], "GET", "/api/orders?page=1")


def order(world: World) -> RawRequest:
    """A customer orders something."""
    headers = {"Content-Type": "application/json", "Cookie": "theme=dark"}
    return world.signed(world.people["ada"], "POST", "/api/orders", body=ORDER, headers=headers)


def config(world: World) -> RawRequest:
    """An app that nobody has logged in on starts."""
    return world.signed(world.people["ada"], "GET", "/api/config", bearer=False)


def to(target: str) -> Edit:
    """Send it to another target."""
    return lambda _, request: request.having(target=target)


def header(name: str, value: str) -> Edit:
    """Put this header in place of the one of the name, or beside none."""
    return lambda _, request: request.with_header(name, value)


def without(name: str) -> Edit:
    """Leave a header out."""
    return lambda _, request: request.without(name)


def renamed(name: str, other: str) -> Edit:
    """Send a header under another name."""
    return lambda _, request: request.without(name).adding(other, request.find(name.lower()) or "")


def covering(change: Callable[[list[str]], list[str]]) -> Edit:
    """Sign anew, with the phone's own keys, over other components: an instrumented genuine app."""

    def edit(world: World, request: RawRequest) -> RawRequest:
        return sign_freely(
            request,
            world.people["ada"].session,
            created=int(now().timestamp()),
            nonce=world.nonce(),
            components=change(components_of(request)),
        )

    return edit


def _with_bearer_of_another(world: World, request: RawRequest) -> RawRequest:
    return request.with_header("Authorization", f"Bearer {world.people['grace'].bearer}")


def _to_another_customer(world: World, request: RawRequest) -> RawRequest:
    return request.having(target=f"/api/users/{world.users['grace']}")


def _with_matching_digest(_: World, request: RawRequest) -> RawRequest:
    return (
        request.having(body=MORE)
        .with_header("Content-Length", str(len(MORE)))
        .with_header("Content-Digest", digest_of(MORE))
    )


def _two_bearers(world: World, request: RawRequest) -> RawRequest:
    return request.adding("Authorization", f"Bearer {world.people['grace'].bearer}")


def _twice(name: str) -> Edit:
    return lambda _, request: request.adding(name, request.find(name) or "")


def _absolute(world: World, request: RawRequest) -> RawRequest:
    return request.having(target=world.locked.origin + request.target)


def _localhost(world: World, request: RawRequest) -> RawRequest:
    return request.with_header("Host", f"localhost:{world.locked.port}")


def _body(body: bytes) -> Edit:
    return lambda _, request: request.having(body=body).with_header("Content-Length", str(len(body)))


EDITS: Final[dict[str, tuple[Twin, Edit]]] = {
    "method_changed": (page, lambda _, request: request.having(method="DELETE")),
    "path_changed": (profile, _to_another_customer),
    "query_changed": (page, to("/api/orders?page=2")),
    "query_added": (account, to("/api/me?fields=all")),
    "query_removed": (page, to("/api/orders")),
    # Spellings of a path, each of which some router or proxy reads as another path than its neighbour does.
    "path_with_a_doubled_slash": (account, to("/api//me")),
    "path_with_a_dot_segment": (account, to("/api/./me")),
    "path_with_a_dot_dot_segment": (account, to("/api/x/../me")),
    "path_with_an_encoded_dot_segment": (account, to("/api/%2E/me")),
    "path_with_an_encoded_letter": (account, to("/api/%6De")),
    "path_with_a_lower_case_escape": (account, to("/api/me%c3%a9")),
    "path_with_an_encoded_slash": (account, to("/api%2Fme")),
    "path_with_an_encoded_backslash": (account, to("/api%5Cme")),
    "path_with_a_backslash": (account, to("/api\\me")),
    "path_with_a_semicolon": (account, to("/api/me;v=1")),
    "path_encoded_twice": (account, to("/api/%256De")),
    "path_with_an_encoded_control": (account, to("/api/me%00")),
    "path_with_a_trailing_slash": (account, to("/api/me/")),
    "path_in_other_case": (account, to("/API/me")),
    "target_with_a_bare_question_mark": (account, to("/api/me?")),
    "target_with_a_fragment": (account, to("/api/me#top")),
    "target_in_absolute_form": (account, _absolute),
    "host_foreign": (account, header("Host", "evil.example")),
    "host_of_another_name": (account, _localhost),
    # Body and headers.
    "body_added": (account, _body(MORE)),
    "body_changed": (order, _body(MORE)),
    "body_cut_short": (order, _body(ORDER[:-1])),
    "body_and_digest_changed": (order, _with_matching_digest),
    "digest_removed": (account, without("content-digest")),
    "digest_of_another_algorithm": (account, header("Content-Digest", "sha-512=:AAAA:")),
    "authorization_changed": (account, _with_bearer_of_another),
    "authorization_removed": (account, without("authorization")),
    "authorization_added": (config, _with_bearer_of_another),
    "cookie_changed": (order, header("Cookie", "theme=light")),
    "cookie_removed": (order, without("cookie")),
    "cookie_added": (account, header("Cookie", "sessionid=stolen")),
    "content_type_changed": (order, header("Content-Type", "text/plain")),
    "content_type_added": (account, header("Content-Type", "application/json")),
    "attestation_removed": (account, without(CLIENT_ATTESTATION)),
    "proof_removed": (account, lambda _, request: request.without("signature").without("signature-input")),
    "method_override": (account, header("X-HTTP-Method-Override", "DELETE")),
    "content_coding": (order, header("Content-Encoding", "gzip")),
    "upgrade": (account, header("Upgrade", "h2c")),
    # Two headers of one name, and names that a server may read as another.
    "authorization_twice": (account, _two_bearers),
    "attestation_twice": (account, _twice(CLIENT_ATTESTATION)),
    "signature_twice": (account, _twice("signature")),
    "signature_input_twice": (account, _twice("signature-input")),
    "digest_twice": (account, _twice("content-digest")),
    "attestation_with_underscores": (account, renamed("OAuth-Client-Attestation", "OAuth_Client_Attestation")),
    "signature_input_with_an_underscore": (account, renamed("Signature-Input", "Signature_Input")),
    "digest_with_an_underscore": (account, renamed("Content-Digest", "Content_Digest")),
    # What a proof covers is the verifier's choice. The attacker signs with a genuine phone's keys here.
    "components_fewer": (account, covering(lambda names: [name for name in names if name != "authorization"])),
    "components_more": (account, covering(lambda names: [*names, "host"])),
    "components_reordered": (account, covering(lambda names: [names[1], names[0], *names[2:]])),
    "components_twice": (account, covering(lambda names: [*names, "content-digest"])),
    "components_none": (account, covering(lambda _: [])),
}


SPENT: Final = frozenset(["body_added", "body_changed", "body_cut_short"])
"""Edits that show only when the body is read. The proof is spent by then, so the twin is signed anew."""


def _enter(name: str, twin: Twin, edit: Edit) -> None:
    def run(world: World) -> Trial:
        request = twin(world)
        return world.trial(edit(world, request), twin(world) if name in SPENT else request)

    run.__name__ = name
    attack(run)


for _name, (_twin, _edit) in EDITS.items():
    _enter(_name, _twin, _edit)
