"""The vectors of `statement`: what a gate tells the API behind it, as that API reads it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bonafide import statement
from bonafide.codec import base64url, json
from bonafide.codec.jose import sign_hs256
from bonafide.http import HttpRequest, Origin
from bonafide.proof.http_signature import digest_of_fields
from bonafide.sealing import AnswerKey
from bonafide.statement import TYPE, Sender, Statement
from bonafide.terms import EvidenceEnvironment, ProofKind, Tier
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.gate_world import JKT, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY: Final = bytes(range(32))
NEXT_KEY: Final = bytes(range(32, 64))
OTHER_KEY: Final = bytes(range(64, 96))
ATTESTATION: Final = "a.client.attestation"
FIELDS: Final = {"authorization": "Bearer of-a-user", "cookie": "", "content-type": "application/json"}
"""What a proof covers where it is present; here an empty text stands for what is not."""

ANSWER_KEY: Final = AnswerKey(sid=bytes(range(16)), key=bytes(range(128, 160)))
RECORD: Final = "cmVjb3JkLTAwMDAwMDAwMQ"
OTHER_RECORD: Final = "cmVjb3JkLTAwMDAwMDAwMg"
HEADER: Final = {"alg": "HS256", "typ": TYPE}
REQUEST: Final[dict[str, object]] = {
    "method": "POST",
    "scheme": "https",
    "authority": "api.example.com",
    "target": "/api/orders?a=1",
    "oauth_client_attestation": ATTESTATION,
    **{name.replace("-", "_"): value for name, value in FIELDS.items()},
}
SENDER: Final = Sender(
    instance="aW5zdGFuY2UtMDAwMDAwMQ",
    jkt=JKT,
    app="shop",
    identity="TEAM123456.com.example.shop",
    environment=EvidenceEnvironment.PRODUCTION,
    tier=Tier.AFFIRMING,
    proof=ProofKind.SESSION,
    app_version="2.3.1",
    warnings=(),
    digest="sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
    attestation=statement.digest_of_attestation(ATTESTATION),
)


def build() -> Iterator[Vector]:
    """Yield every vector of this area."""
    for name, (comment, expect, change) in _cases().items():
        later = change.pop("later", timedelta())
        admitted, sealed = change.pop("admitted", True), change.pop("sealed", False)
        digest = change.pop("digest", SENDER.digest)
        accepted = expect == ACCEPT
        yield Vector(
            name=f"statement/{name}",
            comment=comment,
            now=NOW + later,
            input={"statement": _token(_body()), "keys": [encode(KEY)], **REQUEST, **change},
            expect=expect if accepted else f"statement.{expect}",
            claims=_claims(digest, admitted=admitted, sealed=sealed) if accepted else None,
        )


def judge_statement(vector: Vector) -> Mapping[str, object]:
    """Verify a statement against the request of the vector, as the API behind a gate does."""
    present = {name: vector.text(name.replace("-", "_")) for name in (*FIELDS, "oauth-client-attestation")}
    request = HttpRequest(
        method=vector.text("method"),
        origin=Origin(scheme=vector.text("scheme"), authority=vector.text("authority")),
        target=vector.text("target"),
        headers={name: value for name, value in present.items() if value},
    )
    keys = [base64.b64decode(key, validate=True) for key in vector.texts("keys")]
    said = statement.verify(vector.text("statement"), keys=keys, request=request, now=vector.moment())
    key = said.answer_key
    return {
        "admitted": said.admitted,
        "route": said.route,
        "client": said.client,
        "record": said.record,
        "instance": None if said.sender is None else said.sender.instance,
        "digest": None if said.sender is None else said.sender.digest,
    } | ({} if key is None else {"answer_key": encode(key.sid + key.key)})


Case = tuple[str, str, dict[str, Any]]


def _cases() -> dict[str, Case]:
    def said(**changes: object) -> dict[str, Any]:
        return {"statement": _token(_body() | changes)}

    def without(*names: str) -> dict[str, Any]:
        return {"statement": _token({name: value for name, value in _body().items() if name not in names})}

    def of_sender(**changes: object) -> dict[str, Any]:
        return said(sender=_body()["sender"] | changes)

    good = _token(_body())
    cases: dict[str, Case] = {
        "good": ("As a gate says it", ACCEPT, {}),
        "good_unproven": (
            "Nothing was admitted: the route observes, or asks for no proof",
            ACCEPT,
            {"statement": _token(_body(None)), "oauth_client_attestation": "", "admitted": False},
        ),
        "good_second_key": ("While the key is replaced", ACCEPT, {"keys": [encode(NEXT_KEY), encode(KEY)]}),
        "good_last_second": ("Ten seconds old", ACCEPT, {"later": timedelta(seconds=10)}),
        "good_ahead": ("Five seconds ahead", ACCEPT, {"later": timedelta(seconds=-5)}),
        "stale": ("Eleven seconds old", "stale", {"later": timedelta(seconds=11)}),
        "ahead": ("Six seconds ahead", "stale", {"later": timedelta(seconds=-6)}),
        "none": ("No statement", "missing", {"statement": ""}),
        "no_jws": ("A text that is no JWS", "malformed", {"statement": "x"}),
        "two": ("Two, as a server joins them", "malformed", {"statement": f"{good},{good}"}),
        "padded": ("Padding", "malformed", {"statement": f"{good}="}),
        "header_typ": ("Another type", "malformed", {"statement": _token(_body(), header={**HEADER, "typ": "JWT"})}),
        "header_kid": ("A key id", "malformed", {"statement": _token(_body(), header={**HEADER, "kid": "1"})}),
        "foreign_key": ("Under another key", "signature_invalid", {"statement": _token(_body(), key=OTHER_KEY)}),
        "edited": ("Edited", "signature_invalid", {"statement": _edited(good)}),
        "method": ("For another method", "request_mismatch", {"method": "GET"}),
        "method_case": ("The method in lower case", "request_mismatch", {"method": "post"}),
        "authority": ("For another host", "request_mismatch", {"authority": "other.example.com"}),
        "path": ("For another path", "request_mismatch", {"target": "/api/order?a=1"}),
        "query": ("For another query", "request_mismatch", {"target": "/api/orders?a=2"}),
        "spelling": ("The path in another spelling", "request_mismatch", {"target": "/api/%6Frders?a=1"}),
        "attestation": ("Another attestation", "attestation_mismatch", {"oauth_client_attestation": "another"}),
        "no_attestation": ("No attestation", "attestation_mismatch", {"oauth_client_attestation": ""}),
        "authorization": ("Another user's token", "request_mismatch", {"authorization": "Bearer of-another"}),
        "no_authorization": ("No token", "request_mismatch", {"authorization": ""}),
        "cookie": ("A cookie that the gate did not see", "request_mismatch", {"cookie": "a=1"}),
        "content_type": ("Another type of body", "request_mismatch", {"content_type": "text/plain"}),
        "content_type_octets": ("A type that is not ASCII", "request_mismatch", {"content_type": "text/\u00e9"}),
        "admitted_without_sender": ("Admitted, and nobody named", "malformed", without("sender")),
        "sender_without_admitted": ("Not admitted, and somebody named", "malformed", said(admitted=False)),
        "admitted_number": ("Admitted as a number", "malformed", said(admitted=1)),
        "member_missing": ("No route", "malformed", without("route")),
        "no_fields": ("No digest of fields", "malformed", without("fields")),
        "member_more": ("A member more", "malformed", said(more="x")),
        "time_fraction": ("A time with a fraction", "malformed", said(iat=NOW.timestamp() + 0.5)),
        "sender_member_more": ("A member more of the sender", "malformed", of_sender(more="x")),
        "sender_tier": ("A tier that nobody has", "malformed", of_sender(tier="best")),
        "sender_proof": ("A proof that nobody makes", "malformed", of_sender(proof="none")),
        "good_dpop": (
            "By DPoP, which covers no body",
            ACCEPT,
            {**of_sender(proof="dpop", digest=None), "digest": None},
        ),
        "dpop_digest": ("By DPoP, with a digest that it cannot cover", "malformed", of_sender(proof="dpop")),
        "digest_none": ("By a session, without the digest", "malformed", of_sender(digest=None)),
        "sender_warnings": ("Warnings as one text", "malformed", of_sender(warn="old_os")),
    }
    return cases | _cases_of_keys()


def _cases_of_keys() -> dict[str, Case]:
    """Return statements that bring the key of an answer: 16 octets of `sid` and 32 of K, sealed."""
    good = _body(answer_key=ANSWER_KEY)
    unproven = _body(None) | {"k": good["k"]}
    rotated = _token(_body(answer_key=ANSWER_KEY, key=NEXT_KEY), key=NEXT_KEY)
    both = [encode(KEY), encode(NEXT_KEY)]

    def carrying(sealed: object, **changes: object) -> dict[str, Any]:
        return {"statement": _token(good | {"k": sealed} | changes)}

    return {
        "good_answer_key": ("With the key of the answer", ACCEPT, {"statement": _token(good), "sealed": True}),
        "good_answer_key_second": (
            "With the key of the answer, under the second of two keys",
            ACCEPT,
            {"statement": rotated, "keys": both, "sealed": True},
        ),
        "answer_key_of_another": (
            "The key of the answer to another request",
            "answer_key_unopened",
            carrying(_body(answer_key=ANSWER_KEY, record=OTHER_RECORD)["k"]),
        ),
        "answer_key_foreign": (
            "The key of the answer, sealed under the other of two keys",
            "answer_key_unopened",
            carrying(_body(answer_key=ANSWER_KEY, key=NEXT_KEY)["k"]) | {"keys": both},
        ),
        "answer_key_short": ("The key without its last octet", "malformed", carrying(good["k"][:-1])),
        "answer_key_null": ("Null in place of the key", "malformed", carrying(None)),
        "answer_key_empty": ("An empty key", "malformed", carrying("")),
        "answer_key_record": (
            "The key beside a record of 15 octets",
            "malformed",
            carrying(good["k"], record="cmVjb3JkLTAwMDAwMDAw"),
        ),
        "answer_key_unproven": (
            "The key where nobody was admitted",
            "malformed",
            {"statement": _token(unproven), "oauth_client_attestation": ""},
        ),
        "answer_key_head": (
            "The key for an answer without a body",
            "malformed",
            carrying(good["k"], method="HEAD") | {"method": "HEAD"},
        ),
    }


def _body(
    sender: Sender | None = SENDER,
    *,
    answer_key: AnswerKey | None = None,
    record: str = RECORD,
    key: bytes = KEY,
) -> dict[str, Any]:
    """Return the members that a gate writes."""
    said = Statement(
        method="POST",
        authority="api.example.com",
        target="/api/orders?a=1",
        route="/api/**",
        client="app",
        record=record,
        fields="" if sender is None else digest_of_fields({name: value for name, value in FIELDS.items() if value}),
        issued_at=NOW,
        sender=sender,
        answer_key=answer_key,
    )
    payload = statement.issue(said, key=key).split(".")[1]
    return dict(json.parse_object(base64url.decode(payload)))


def _token(body: Mapping[str, object], *, header: Mapping[str, object] = HEADER, key: bytes = KEY) -> str:
    return sign_hs256(header, json.dump(body), key)


def _edited(token: str) -> str:
    head, payload, mac = token.split(".")
    other = base64url.decode(payload).replace(b"POST", b"POSX")
    return f"{head}.{base64url.encode(other)}.{mac}"


def _claims(digest: str | None, *, admitted: bool, sealed: bool) -> Mapping[str, object]:
    return {
        "admitted": admitted,
        "route": "/api/**",
        "client": "app",
        "record": RECORD,
        "instance": SENDER.instance if admitted else None,
        "digest": digest if admitted else None,
    } | ({"answer_key": encode(ANSWER_KEY.sid + ANSWER_KEY.key)} if sealed else {})
