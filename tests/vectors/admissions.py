"""The vectors of `client_attestation`, `proof`, `request` and `route`: one request before one gate.

`input` holds the gate (`gate`), the request as an adapter received it (`request`: method, host, target, headers,
body) and the replay store's answer (`first_use`). `claims` of an admitted request say what a signer must have
computed to get there: the signature base and the key of the replay store.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from bonafide.client_attestation import TYPE, issue, issue_for_authorization_server
from bonafide.codec import base64url, json, jwk
from bonafide.codec.jose import sign_es256, sign_hs256
from bonafide.http import HttpRequest, Origin
from bonafide.keys import SigningKey
from bonafide.proof.content_digest import digest_of
from bonafide.proof.http_signature import HardwareSigner, SessionSigner, sign
from bonafide.terms import EvidenceEnvironment, Platform, Tier
from bonafide.testing.vectors import ACCEPT, Vector, encode
from tests.gate_world import GATE_SECRET, HARDWARE, ISSUER_KEY, JKT, NOW, claims, session_key_of, session_signer
from tests.vectors.sealed import expected_answer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bonafide.client_attestation import ClientAttestation

NONCE: Final = "bm9uY2Vub25jZW5vbmNlbg"
HOST: Final = "api.example.com"
ORDER: Final = b'{"article":7,"count":1}'
THIEF: Final = ec.derive_private_key(666, ec.SECP256R1())
HEADER: Final = {"alg": "ES256", "typ": TYPE, "kid": ISSUER_KEY.kid}


@dataclass
class Case:
    """A request that is admitted, until one thing about it is changed."""

    held: ClientAttestation = field(default_factory=claims)
    attestation: str | None = None
    signer: HardwareSigner | SessionSigner | None = None
    method: str = "POST"
    target: str = "/api/orders?draft=1"
    body: bytes = ORDER
    headers: dict[str, str] = field(
        default_factory=lambda: {"authorization": "Bearer abc", "content-type": "application/json"}
    )
    created: int = int(NOW.timestamp())
    nonce: str = NONCE
    rules: list[dict[str, object]] = field(default_factory=lambda: [{"match": "/api/**"}])
    first_use: str = "first"
    revoked: list[str] = field(default_factory=list)
    gate: dict[str, object] = field(default_factory=dict)
    edit: Callable[[dict[str, Any]], None] | None = None
    owner: str = "shop"

    def input(self) -> dict[str, object]:
        """Sign the request, and lay out everything that the gate sees. `edit` comes after signing."""
        unsigned = HttpRequest(
            method=self.method,
            origin=Origin(scheme="https", authority=HOST),
            target=self.target,
            headers={
                "oauth-client-attestation": self.attestation or issue(self.held, key=ISSUER_KEY),
                **self.headers,
                "content-digest": digest_of([self.body]),
            },
        )
        signer = self.signer or session_signer(self.held)
        proof = sign(unsigned, created=self.created, nonce=self.nonce, signer=signer)
        request: dict[str, Any] = {
            "method": self.method,
            "host": HOST,
            "target": self.target,
            "headers": {**unsigned.headers, **proof},
            "body": encode(self.body),
        }
        if self.edit is not None:
            self.edit(request)
        return {"gate": self._gate(), "request": request, "first_use": self.first_use}

    @property
    def seals(self) -> bool:
        """Whether the rule has the answer sealed."""
        return self.rules[0].get("seal") is True

    def _gate(self) -> dict[str, object]:
        return {
            "origins": [f"https://{HOST}"],
            "issuer": "https://api.example.com/bonafide/v1",
            "audience": "https://api.example.com",
            "apps": ["shop"],
            "environments": ["production"],
            "routes": self.rules,
            "keys": {ISSUER_KEY.kid: {"app": self.owner, "jwk": jwk.from_public(ISSUER_KEY.private_key.public_key())}},
            "gate_keys": {"20261101-a": encode(GATE_SECRET)},
            "revoked": self.revoked,
            **self.gate,
        }


def vector(name: str, comment: str, expect: str = ACCEPT, **changes: Any) -> Vector:
    """Return the vector of one case; `now` may be among its changes."""
    now = changes.pop("now", NOW)
    case = Case(**changes)
    given = case.input()
    return Vector(
        name=name,
        comment=comment,
        now=now,
        input=given,
        expect=expect,
        claims=_claims(case, given) if expect == ACCEPT else None,
    )


def _claims(case: Case, given: Mapping[str, Any]) -> dict[str, object]:
    """Compute the claims from the case, not by the verifier under test."""
    headers: dict[str, str] = given["request"]["headers"]
    parameters = headers["signature-input"].removeprefix("bonafide=")
    path, mark, query = case.target.partition("?")
    values = {
        "@method": case.method,
        "@scheme": "https",
        "@authority": HOST,
        "@path": path,
        "@query": f"?{query}" if mark else "?",
        **headers,
    }
    names = re.findall(r'"([^"]+)"', parameters.partition(")")[0])
    lines = [f'"{name}": {values[name]}' for name in names] + [f'"@signature-params": {parameters}']
    hardware = isinstance(case.signer, HardwareSigner)
    base = "\n".join(lines)
    sealed = {"answer_key": encode(expected_answer_key(session_key_of(case.held), base))} if case.seals else {}
    return {
        "instance": case.held.instance,
        "jkt": JKT,
        "proof": "hardware" if hardware else "session",
        "digest": headers["content-digest"],
        "base": encode(base.encode()),
        **sealed,
    }


def build() -> Iterator[Vector]:
    """Yield every vector of these areas."""
    yield from _attestations()
    yield from _headers_of_attestations()
    yield from _proofs()
    yield from _signature_inputs()
    yield from _requests()
    yield from _targets()
    yield from _routes()
    yield from _stores()


def _header(name: str, value: str | None) -> Callable[[dict[str, Any]], None]:
    def edit(request: dict[str, Any]) -> None:
        if value is None:
            del request["headers"][name]
        else:
            request["headers"][name] = value

    return edit


def _substitute(name: str, pattern: str, replacement: str) -> Callable[[dict[str, Any]], None]:
    def edit(request: dict[str, Any]) -> None:
        text, count = re.subn(pattern, replacement, request["headers"][name], count=1)
        assert count == 1, (name, pattern)
        request["headers"][name] = text

    return edit


def _set(member: str, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(request: dict[str, Any]) -> None:
        request[member] = value

    return edit


def _attestations() -> Iterator[Vector]:
    area = "client_attestation"
    foreign = SigningKey.of(ec.derive_private_key(99, ec.SECP256R1()))
    token = issue(claims(), key=ISSUER_KEY)
    header, _, signature = token.split(".")
    edited = base64url.encode(json.dump({**_body(), "sub": "other"}))
    yield vector(f"{area}/good", "An attestation that holds")
    yield vector(f"{area}/missing", "No attestation", f"{area}.missing", edit=_header("oauth-client-attestation", None))
    for name, text in (("two_parts", "a.b"), ("padded", f"{token}="), ("joined", f"{token}, {token}")):
        yield vector(
            f"{area}/{name}", "Not one compact JWS", f"{area}.malformed", edit=_header("oauth-client-attestation", text)
        )
    for name, expect, text, comment in (
        ("foreign_kid", "key_unknown", issue(claims(), key=foreign), "By a key of somebody else's"),
        (
            "foreign_key",
            "signature_invalid",
            issue(claims(), key=replace(foreign, kid=ISSUER_KEY.kid)),
            "By another key under our kid",
        ),
        ("payload_edited", "signature_invalid", f"{header}.{edited}.{signature}", "sub was edited"),
        ("no_bonafide", "not_for_gates", issue_for_authorization_server(claims(), key=ISSUER_KEY), "For elsewhere"),
        ("claim_added", "claims_malformed", _signed({**_body(), "nbf": 0}), "A claim that the profile has not"),
        (
            "audience_list",
            "claims_malformed",
            _signed({**_body(), "aud": ["https://api.example.com"]}),
            "aud in a list",
        ),
    ):
        yield vector(f"{area}/{name}", comment, f"{area}.{expect}", attestation=text)
    yield from _claims_in_other_forms()
    changes: dict[str, tuple[str, dict[str, Any], str]] = {
        "issuer": ("issuer_mismatch", {"issuer": "https://api.example.com/bonafide/v1/"}, "iss with a slash more"),
        "audience": ("audience_mismatch", {"audience": "https://api.example.org"}, "For another API"),
        "app": ("key_of_another_app", {"app": "other"}, "One app named, signed by another app's key"),
        "development": ("environment_refused", {"environment": EvidenceEnvironment.DEVELOPMENT}, "Development"),
        "debug": ("environment_refused", {"environment": EvidenceEnvironment.DEBUG}, "Debug evidence"),
        "expired": ("expired", {"expires_at": NOW}, "Ends now"),
        "future": ("issued_in_future", {"issued_at": NOW + timedelta(seconds=6)}, "Issued in six seconds"),
    }
    for name, (expect, change, comment) in changes.items():
        yield vector(f"{area}/{name}", comment, f"{area}.{expect}", held=claims(**change))
    yield vector(
        f"{area}/other_app",
        "Another app of the same service",
        f"{area}.app_refused",
        held=claims(app="other"),
        owner="other",
    )
    yield vector(f"{area}/good_future", "Issued in five seconds", held=claims(issued_at=NOW + timedelta(seconds=5)))
    yield vector(f"{area}/good_last_second", "One second left", held=claims(expires_at=NOW + timedelta(seconds=1)))
    for name, banned in (("instance", claims().instance), ("key", JKT)):
        yield vector(f"{area}/revoked_{name}", "Banned", f"{area}.revoked", revoked=[banned])


def _claims_in_other_forms() -> Iterator[Vector]:
    ours = _body()["bonafide"]
    without = {name: value for name, value in ours.items() if name != "ast"}
    for name, changed, comment in (
        ("sid_alone", {**ours, "gk": ""}, "A session, and no gate key that it derives from"),
        ("gate_key_alone", {**ours, "sid": ""}, "A gate key, and no session"),
        ("no_ast", without, "Nothing about when evidence was given"),
        ("ast_text", {**ours, "ast": str(ours["ast"])}, "ast in a text"),
        ("ast_fraction", {**ours, "ast": ours["ast"] + 0.5}, "ast in parts of a second"),
        ("ast_true", {**ours, "ast": True}, "ast is true"),
    ):
        expect = "client_attestation.claims_malformed"
        text = _signed({**_body(), "bonafide": changed})
        yield vector(f"client_attestation/{name}", comment, expect, attestation=text, signer=HARDWARE)


def _body() -> dict[str, Any]:
    return json.parse_object(base64url.decode(issue(claims(), key=ISSUER_KEY).split(".")[1]))


def _signed(body: Mapping[str, object]) -> str:
    return sign_es256(HEADER, json.dump(body), ISSUER_KEY.private_key)


def _headers_of_attestations() -> Iterator[Vector]:
    _, payload, signature = issue(claims(), key=ISSUER_KEY).split(".")
    public = jwk.from_public(THIEF.public_key())
    changes: dict[str, dict[str, object]] = {
        "alg_none": {"alg": "none"},
        "typ_jwt": {"typ": "JWT"},
        "kid_number": {"kid": 7},
        "jwk": {"jwk": public},
        "jku": {"jku": "https://evil.example/jwks.json"},
        "x5u": {"x5u": "https://evil.example/leaf.pem"},
        "x5c": {"x5c": []},
        "crit": {"crit": ["exp"]},
    }
    for name, change in changes.items():
        text = f"{base64url.encode(json.dump({**HEADER, **change}))}.{payload}.{signature}"
        yield vector(
            f"client_attestation/header_{name}",
            "A header outside the profile",
            "client_attestation.header_refused",
            edit=_header("oauth-client-attestation", text),
        )
    point = base64.urlsafe_b64decode(public["x"] + "=") + base64.urlsafe_b64decode(public["y"] + "=")
    yield vector(
        "client_attestation/header_hs256",
        "A MAC under a public key",
        "client_attestation.header_refused",
        attestation=sign_hs256({**HEADER, "alg": "HS256"}, json.dump(_body()), b"\x04" + point),
    )


def _proofs() -> Iterator[Vector]:
    own = HardwareSigner(THIEF, jwk.thumbprint(jwk.from_public(THIEF.public_key())))
    yield vector("proof/good_session", "By the session's MAC key")
    yield vector("proof/good_hardware", "By the key on the phone", signer=HARDWARE)
    yield vector("proof/good_bare", "No body, no query, no optional header", body=b"", target="/api/me", headers={})
    yield vector("proof/good_cookie", "Cookies may hold commas", headers={"cookie": "a=1, b=2; c=3"})
    yield vector("proof/good_oldest", "60 s old", created=int(NOW.timestamp()) - 60)
    yield vector("proof/good_newest", "5 s ahead", created=int(NOW.timestamp()) + 5)
    yield vector("proof/created_old", "61 s old", "proof.created_too_old", created=int(NOW.timestamp()) - 61)
    yield vector("proof/created_ahead", "6 s ahead", "proof.created_in_future", created=int(NOW.timestamp()) + 6)
    yield vector("proof/other_key", "By a thief's key", "proof.key_mismatch", signer=own)
    forged = HardwareSigner(THIEF, JKT)
    yield vector("proof/other_key_renamed", "By a thief's key, named as ours", "proof.signature_invalid", signer=forged)
    other = session_signer(claims(sid=base64url.encode(bytes(16))))
    yield vector("proof/other_session", "By another session", "proof.key_mismatch", signer=other)
    earlier = session_signer(claims(expires_at=NOW + timedelta(minutes=3)))
    yield vector("proof/other_expiry", "By the key of another expiry", "proof.signature_invalid", signer=earlier)
    yield vector("proof/gate_key_gone", "An erased gate key", "proof.session_key_unknown", gate={"gate_keys": {}})
    sessionless = claims(sid="", gate_key="")
    yield vector("proof/good_sessionless", "By the key on the phone, all there is", held=sessionless, signer=HARDWARE)
    yield vector(
        "proof/sessionless",
        "A session proof, and the attestation knows of no session",
        "proof.key_mismatch",
        held=sessionless,
        signer=session_signer(),
    )
    edits = {
        "method": _set("method", "PUT"),
        "path": _set("target", "/api/orderz?draft=1"),
        "query": _set("target", "/api/orders?draft=2"),
        "query_added": _set("target", "/api/orders?draft=1&x=1"),
        "query_removed": _set("target", "/api/orders"),
        "authorization": _header("authorization", "Bearer abd"),
        "content_type": _header("content-type", "text/plain"),
    }
    for name, edit in edits.items():
        yield vector(f"proof/edited_{name}", "Edited after signing", "proof.signature_invalid", edit=edit)
    yield vector("proof/edited_body", "Another body", "proof.digest_mismatch", edit=_set("body", encode(b"{}")))
    yield vector(
        "proof/added_body", "A body where none was", "proof.digest_mismatch", body=b"", edit=_set("body", "e30=")
    )
    for name in ("signature", "signature-input", "content-digest"):
        yield vector(f"proof/without_{name.replace('-', '_')}", "Absent", "proof.missing", edit=_header(name, None))
    digests = {"sha512": "sha-512=:AAAA:", "two": f"{digest_of([ORDER])}, sha-512=:AAAA:", "short": "sha-256=:AAAA:"}
    for name, text in digests.items():
        yield vector(
            f"proof/digest_{name}", "Not one sha-256", "proof.digest_malformed", edit=_header("content-digest", text)
        )
    for name, (pattern, replacement) in {
        "label": ("^bonafide", "sig1"),
        "two": ("$", ", other=:AAAA:"),
        "short": ("=:....", "=:"),
        "unpadded": ("=+:$", ":"),
    }.items():
        edit = _substitute("signature", pattern, replacement)
        yield vector(f"proof/signature_{name}", "Another form", "proof.signature_malformed", edit=edit)


def _signature_inputs() -> Iterator[Vector]:
    components = {
        "fewer": (' "content-digest"', ""),
        "more": ('"content-digest"', '"content-digest" "x-more"'),
        "reordered": ('"@method" "@scheme"', '"@scheme" "@method"'),
        "twice": ('"@method"', '"@method" "@method"'),
        "parameter": ('"@path"', '"@path";req'),
        "none": (r"\(.*\)", "()"),
    }
    for name, (pattern, replacement) in components.items():
        edit = _substitute("signature-input", pattern, replacement)
        yield vector(f"proof/components_{name}", "Other components", "proof.components_mismatch", edit=edit)
    yield vector(
        "proof/components_cookie_added",
        "A cookie that was not signed",
        "proof.components_mismatch",
        edit=_header("cookie", "a=1"),
    )
    yield vector(
        "proof/components_authorization_removed",
        "The signed credential taken away",
        "proof.components_mismatch",
        edit=_header("authorization", None),
    )
    forms = {
        "label": ("^bonafide", "sig1"),
        "second_member": ("$", ', other=("@method");created=1'),
        "no_created": (r";created=\d+", ""),
        "created_text": (r"created=(\d+)", r'created="\1"'),
        "no_nonce": (r';nonce="[^"]*"', ""),
        "short_nonce": (r'nonce="[^"]*"', f'nonce="{"a" * 21}"'),
        "expires": (r"(;created=(\d+))", r"\1;expires=\2"),
        "alg_other": (r'alg="[^"]*"', 'alg="ed25519"'),
        "no_tag": (';tag="bonafide"', ""),
        "tag_other": ('tag="bonafide"', 'tag="other"'),
        "reordered": (r"(;created=\d+)(;nonce=[^;]+)", r"\2\1"),
    }
    for name, (pattern, replacement) in forms.items():
        edit = _substitute("signature-input", pattern, replacement)
        yield vector(f"proof/input_{name}", "Another form", "proof.input_malformed", edit=edit)


def _requests() -> Iterator[Vector]:
    yield vector("request/good", "A request in the admitted form")
    headers = {
        "content-encoding": ("content_coding", "gzip"),
        "x-http-method-override": ("method_override", "DELETE"),
        "x-http-method": ("method_override", "DELETE"),
        "x-method-override": ("method_override", "DELETE"),
        "upgrade": ("upgrade", "websocket"),
        "trailer": ("trailers", "x-later"),
        "authorization": ("field_repeated", "Bearer abc,Bearer abd"),
        "content-type": ("field_repeated", "application/json, text/plain"),
        "cookie": ("field_not_ascii", 'a=1\n"content-digest": x'),
    }
    for name, (expect, value) in headers.items():
        yield vector(
            f"request/{name.replace('-', '_')}", "Refused on sight", f"request.{expect}", edit=_header(name, value)
        )
    yield vector("request/cookie_large", "8 KiB and one", "request.field_too_large", edit=_header("cookie", "x" * 8193))
    yield vector("request/method_lower", "Lower case", "request.method_malformed", edit=_set("method", "post"))
    for name, host in (("foreign", "evil.example"), ("port", f"{HOST}:8443"), ("dot", f"{HOST}."), ("none", None)):
        yield vector(f"request/host_{name}", "No origin of ours", "request.host_unknown", edit=_set("host", host))
    yield vector("request/good_host_port", "The default port, upper case", edit=_set("host", "API.example.com:443"))


def _targets() -> Iterator[Vector]:
    spellings = {
        "dot": "/api/./orders",
        "dot_dot": "/api/x/../orders",
        "empty_segment": "/api//orders",
        "leading_slashes": "//api/orders",
        "encoded_letter": "/api/%6Frders",
        "encoded_dot_dot": "/api/%2E%2E/orders",
        "lower_escape": "/api/caf%c3%a9",
        "encoded_slash": "/api%2Forders",
        "encoded_backslash": "/api/a%5Cb",
        "encoded_percent": "/api/a%25b",
        "encoded_semicolon": "/api/a%3Bb",
        "encoded_null": "/api/a%00",
        "backslash": "/api\\orders",
        "parameter": "/api/orders;v=1",
        "raw_space": "/api/a b",
        "raw_octet": "/api/caf\u00e9",
        "bare_question_mark": "/api/orders?",
        "fragment": "/api/orders?x#y",
        "query_space": "/api/orders?x=a b",
        "absolute": f"https://{HOST}/api/orders",
        "asterisk": "*",
        "empty": "",
    }
    for name, target in spellings.items():
        yield vector(
            f"request/target_{name}", "Another spelling", "request.target_not_canonical", edit=_set("target", target)
        )
    for name, target in {
        "encoded": "/api/a%20b%22%3C%3E%C3%A9",
        "sub_delims": "/api/~a-b._:@!$&'()*+,=",
        "slash": "/api/orders/",
        "query": "/api/orders?x=%2f..//;y",
    }.items():
        yield vector(f"request/good_target_{name}", "The one spelling", target=target)


def _routes() -> Iterator[Vector]:
    yield vector("route/good", "Everything that the rule demands", rules=[_rule(min_version="2.3.1", min_os="18.1")])
    yield vector("route/unlisted", "A path without a rule", "route.not_listed", rules=[_rule(match="/api/me")])
    yield vector("route/other_method", "Another method", "route.not_listed", rules=[_rule(methods=["GET"])])
    first = [_rule(match="/api/orders", proof="hardware"), _rule()]
    yield vector("route/first_match", "The first rule that fits decides", "route.proof_kind_too_weak", rules=first)
    cases: dict[str, tuple[str, dict[str, object], dict[str, Any]]] = {
        "tier_warning": ("tier_too_low", {}, {"tier": Tier.WARNING}),
        "tier_none": ("tier_too_low", {"tier": "warning"}, {"tier": Tier.NONE}),
        "tier_contraindicated": ("tier_too_low", {"tier": "none"}, {"tier": Tier.CONTRAINDICATED}),
        "platform": ("platform_refused", {"platforms": ["ios"]}, {"platform": Platform.MACOS}),
        "app_version": ("app_version_too_old", {"min_version": "2.10"}, {"app_version": "2.9.9"}),
        "app_version_other": ("app_version_too_old", {"min_version": "2"}, {"app_version": "2.3-beta"}),
        "os_version": ("os_version_too_old", {"min_os": "18.2"}, {}),
    }
    for name, (expect, rule, change) in cases.items():
        yield vector(
            f"route/{name}", "Below the demand", f"route.{expect}", rules=[_rule(**rule)], held=claims(**change)
        )
    yield from _legacy()
    yield vector("route/hardware", "A session proof", "route.proof_kind_too_weak", rules=[_rule(proof="hardware")])
    yield vector("route/good_hardware", "A hardware proof", rules=[_rule(proof="hardware")], signer=HARDWARE)
    yield from _fresh()
    yield vector("route/good_tier_none", "Tier none", rules=[_rule(tier="none")], held=claims(tier=Tier.NONE))
    seal = [_rule(seal=True)]
    yield vector("route/good_seal", "The answer is sealed", rules=seal)
    yield vector("route/good_seal_hardware", "The answer to a hardware proof is sealed", rules=seal, signer=HARDWARE)
    yield vector("route/seal_head", "HEAD has no body to seal", "route.head_not_sealed", rules=seal, method="HEAD")


def _fresh() -> Iterator[Vector]:
    rules = [_rule(fresh=30)]
    for name, age, expect in (
        ("good_fresh", 10, ACCEPT),
        ("good_fresh_oldest", 30, ACCEPT),
        ("not_fresh", 31, "route.not_fresh"),
        ("good_fresh_ahead", -5, ACCEPT),
        ("fresh_ahead", -6, "route.not_fresh"),
    ):
        held = claims(asserted_at=NOW - timedelta(seconds=age))
        comment = f"Evidence {age} s old, where 30 are allowed"
        yield vector(f"route/{name}", comment, expect, rules=rules, held=held, signer=HARDWARE)
    never = claims(asserted_at=datetime.fromtimestamp(0, UTC), tier=Tier.WARNING)
    lax = [_rule(fresh=3600, tier="warning")]
    yield vector("route/fresh_never", "No evidence, ever", "route.not_fresh", rules=lax, held=never, signer=HARDWARE)
    held = claims(asserted_at=NOW)
    expect = "route.proof_kind_too_weak"
    yield vector("route/fresh_session", "Fresh evidence, and a session proof", expect, rules=rules, held=held)


def _legacy() -> Iterator[Vector]:
    def unproven(request: dict[str, Any]) -> None:
        for name in ("oauth-client-attestation", "signature", "signature-input", "content-digest"):
            del request["headers"][name]

    for name, until, expect in (
        ("good_legacy", "2026-11-02", ACCEPT),
        ("legacy_last_day", "2026-11-01", "route.legacy_ended"),
    ):
        rules = [_rule(legacy={"until": until, "max_share": 0.2})]
        made = vector(f"route/{name}", "No proof at all", "route.legacy_ended", rules=rules, edit=unproven)
        yield replace(made, expect=expect, claims={"unproven": True} if expect == ACCEPT else None)
    rules = [_rule(legacy={"until": "2026-12-01", "max_share": 0.2})]
    edit = _header("oauth-client-attestation", None)
    yield vector("route/legacy_half", "Half a proof", "client_attestation.missing", rules=rules, edit=edit)


def _rule(**changes: object) -> dict[str, object]:
    return {"match": "/api/**", **changes}


def _stores() -> Iterator[Vector]:
    for answer, expect in (
        ("replayed", "proof.replayed"),
        ("fenced", "proof.fenced"),
        ("unavailable", "store.unavailable"),
        ("clock_apart", "store.clock_apart"),
    ):
        yield vector(f"proof/store_{answer}", "The replay store's answer", expect, first_use=answer)
