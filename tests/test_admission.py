"""Who is admitted, and why everybody else is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from bonafide import admission
from bonafide.admission import (
    Admitted,
    Decision,
    Denied,
    Exempt,
    Gate,
    PendingAdmission,
    Unproven,
    admit,
    answer_key_of,
)
from bonafide.attestation_memory import AttestationMemory, KnownAttestation
from bonafide.codec import jwk
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.http import HttpRequest, Origin
from bonafide.ports import FirstUse
from bonafide.proof.content_digest import NO_BODY
from bonafide.proof.http_signature import FIELDS_READ, HardwareSigner, parse_proof
from bonafide.reasons import Reason, configuration
from bonafide.reasons import client_attestation as attestation_reasons
from bonafide.reasons import proof as proof_reasons
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.reasons import store as store_reasons
from bonafide.routes import parse_rules
from bonafide.sealing import AnswerKey
from bonafide.terms import EvidenceEnvironment, Platform, ProofKind, Tier
from tests.gate_world import (
    HARDWARE,
    JKT,
    NOW,
    SID,
    Banned,
    HeldKeys,
    claims,
    gate,
    published,
    request,
    session_key_of,
    session_signer,
    token,
    with_headers,
)
from tests.vectors.sealed import expected_answer_key


def denied(asked: HttpRequest, reason: Reason, at: Gate | None = None, **how: Any) -> Denied:
    decision = admit(asked, gate=at or gate(), now=how.get("now", NOW))
    assert isinstance(decision, Denied)
    assert decision.reason is reason
    return decision


def pending(asked: HttpRequest, at: Gate | None = None, **how: Any) -> PendingAdmission:
    decision = admit(asked, gate=at or gate(), now=how.get("now", NOW))
    assert isinstance(decision, PendingAdmission), decision
    return decision


def admitted(asked: HttpRequest, at: Gate | None = None, **how: Any) -> Admitted:
    decision = pending(asked, at, **how).settle(FirstUse.FIRST)
    assert isinstance(decision, Admitted)
    return decision


def test_session_proof_is_admitted_and_says_who_it_was() -> None:
    decision = admitted(request())
    assert decision.attestation == claims()
    assert decision.jkt == JKT
    assert decision.proof is ProofKind.SESSION
    assert decision.digest == NO_BODY
    assert decision.route.match == "/api/**"


def test_hardware_proof_is_admitted_on_session_and_hardware_routes() -> None:
    asked = request(signer=HARDWARE)
    assert admitted(asked).proof is ProofKind.HARDWARE
    assert admitted(asked, gate({"match": "/api/**", "proof": "hardware"})).proof is ProofKind.HARDWARE


def test_session_proof_on_a_hardware_route_is_denied() -> None:
    denied(request(), route_reasons.PROOF_KIND_TOO_WEAK, gate({"match": "/api/**", "proof": "hardware"}))


@pytest.mark.parametrize("age", [31, -6])
def test_evidence_older_than_the_route_allows_is_denied_whatever_key_signs(age: int) -> None:
    at = gate({"match": "/api/**", "fresh": 30})
    stale = token(asserted_at=NOW - timedelta(seconds=age))
    refused = denied(request(attestation=stale, signer=HARDWARE), route_reasons.NOT_FRESH, at)
    assert refused.proven_instance == claims().instance
    denied(request(attestation=stale), route_reasons.PROOF_KIND_TOO_WEAK, at)
    young = token(asserted_at=NOW - timedelta(seconds=30 if age > 0 else -5))
    assert admitted(request(attestation=young, signer=HARDWARE), at).judged_at == NOW.timestamp()


def test_evidence_becomes_stale_though_its_attestation_is_remembered() -> None:
    at = gate({"match": "/api/**", "fresh": 90})
    for later, fits in ((0, True), (30, True), (31, False)):
        now = NOW + timedelta(seconds=later)
        asked = request(signer=HARDWARE, created=int(now.timestamp()))
        if fits:
            admitted(asked, at, now=now)
        else:
            denied(asked, route_reasons.NOT_FRESH, at, now=now)


def test_session_proof_of_an_instance_without_a_session_is_denied_whatever_gate_keys_there_are() -> None:
    at = gate(keys=HeldKeys(secrets={"": bytes(32), "20261101-a": bytes(range(32))}))
    sessionless = token(sid="", gate_key="")
    assert admitted(request(attestation=sessionless, signer=HARDWARE), at).proof is ProofKind.HARDWARE
    denied(request(attestation=sessionless), proof_reasons.KEY_MISMATCH, at)


def test_pending_admission_names_the_use_to_remember() -> None:
    first, same = pending(request()), pending(request("/api/other"))
    assert first.created == int(NOW.timestamp())
    assert len(first.replay_key) == 32
    assert first.replay_key == same.replay_key
    assert pending(request(nonce="a" * 22)).replay_key != first.replay_key


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (FirstUse.REPLAYED, proof_reasons.REPLAYED),
        (FirstUse.FENCED, proof_reasons.FENCED),
        (FirstUse.UNAVAILABLE, store_reasons.UNAVAILABLE),
        (FirstUse.CLOCK_APART, store_reasons.CLOCK_APART),
    ],
)
def test_whatever_is_not_a_first_use_is_denied(answer: FirstUse, reason: Reason) -> None:
    decision = pending(request()).settle(answer)
    assert isinstance(decision, Denied)
    assert decision.reason is reason
    assert decision.attestation == claims()


@pytest.mark.parametrize("answer", [None, True, 1, "first?"])
def test_store_that_answers_nonsense_admits_nothing(answer: Any) -> None:
    decision = pending(request()).settle(answer)
    assert isinstance(decision, Denied)
    assert decision.reason is store_reasons.UNAVAILABLE


def test_repeatable_get_route_is_admitted_without_a_store() -> None:
    at = gate({"match": "/api/**", "methods": ["GET"], "single_use": False})
    assert isinstance(admit(request(), gate=at, now=NOW), Admitted)


def test_path_that_no_rule_names_is_denied() -> None:
    assert denied(request("/admin"), route_reasons.NOT_LISTED).route is None
    denied(request(method="POST"), route_reasons.NOT_LISTED, gate({"match": "/api/config", "methods": ["GET"]}))


@pytest.mark.parametrize(
    "target", ["/api//config", "/api/./config", "/api/config?", "/api/%63onfig", "/api/x;y", "/api\\x"]
)
def test_target_in_another_spelling_is_denied_before_any_route_is_looked_up(target: str) -> None:
    open_gate = gate({"match": "/**", "client": "open", "because": "everything"})
    decision = denied(request()._replace(target=target), request_reasons.TARGET_NOT_CANONICAL, open_gate)
    assert decision.route is None


def test_method_in_another_spelling_is_denied_on_every_route() -> None:
    open_gate = gate({"match": "/**", "client": "open", "because": "everything"})
    denied(request()._replace(method="get"), request_reasons.METHOD_MALFORMED, open_gate)


@pytest.mark.parametrize("client", ["open", "browser"])
def test_open_and_browser_routes_are_exempt_and_claim_nothing(client: str) -> None:
    at = gate({"match": "/api/**", "client": client, "because": "public"})
    bare = with_headers(request(), oauth_client_attestation=None, signature=None, signature_input=None)
    assert isinstance(admit(bare, gate=at, now=NOW), Exempt)
    assert isinstance(admit(request(), gate=at, now=NOW), Exempt)


def test_request_without_attestation_is_denied() -> None:
    denied(with_headers(request(), oauth_client_attestation=None), attestation_reasons.MISSING)


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "é", "\udce9", "x" * 9000])
def test_malformed_attestation_is_denied(value: str) -> None:
    denied(with_headers(request(), oauth_client_attestation=value), attestation_reasons.MALFORMED)


@pytest.mark.parametrize("empty", [{"issuer": ""}, {"audience": ""}, {"environments": frozenset()}], ids=str)
def test_gate_that_could_only_compare_with_nothing_does_not_start(empty: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        gate(**empty)
    assert refusal.value.reason is configuration.GATE_MALFORMED


def test_gate_without_apps_admits_nobody() -> None:
    denied(request(), attestation_reasons.APP_REFUSED, gate(apps=frozenset()))


def test_two_attestations_joined_by_the_server_are_denied() -> None:
    denied(with_headers(request(), oauth_client_attestation=f"{token()},{token()}"), attestation_reasons.MALFORMED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"app": "other"}, attestation_reasons.KEY_OF_ANOTHER_APP),
        ({"environment": EvidenceEnvironment.DEVELOPMENT}, attestation_reasons.ENVIRONMENT_REFUSED),
        ({"environment": EvidenceEnvironment.DEBUG}, attestation_reasons.ENVIRONMENT_REFUSED),
        ({"issuer": "https://evil.example"}, attestation_reasons.ISSUER_MISMATCH),
        ({"audience": "https://other.example"}, attestation_reasons.AUDIENCE_MISMATCH),
        ({"gate_key": "20261031-b"}, proof_reasons.SESSION_KEY_UNKNOWN),
        ({"tier": Tier.WARNING}, route_reasons.TIER_TOO_LOW),
        ({"tier": Tier.CONTRAINDICATED}, route_reasons.TIER_TOO_LOW),
    ],
    ids=str,
)
def test_attestation_that_this_gate_does_not_admit_is_denied(changes: dict[str, Any], reason: Reason) -> None:
    held = claims(**changes)
    denied(request(attestation=token(**changes), signer=session_signer(held)), reason)


def test_app_and_environment_are_denied_before_the_proof_is_looked_at() -> None:
    """PROTOCOL section 3: refused before the proof."""
    nonsense = with_headers(request(), signature="nonsense")
    denied(nonsense, attestation_reasons.APP_REFUSED, gate(apps=frozenset(["other"])))
    debug = token(environment=EvidenceEnvironment.DEBUG)
    denied(with_headers(request(attestation=debug), signature="nonsense"), attestation_reasons.ENVIRONMENT_REFUSED)


def test_another_app_of_the_same_service_is_denied_where_it_is_not_admitted() -> None:
    at = gate(keys=HeldKeys(published=published("other")))
    denied(request(attestation=token(app="other")), attestation_reasons.APP_REFUSED, at)


def test_one_apps_key_makes_no_client_attestation_of_another() -> None:
    at = gate(apps=frozenset(["shop", "other"]))
    denied(request(attestation=token(app="other")), attestation_reasons.KEY_OF_ANOTHER_APP, at)


def test_gate_of_staging_admits_what_its_operator_named() -> None:
    at = gate(environments=frozenset([EvidenceEnvironment.DEBUG]))
    held = claims(environment=EvidenceEnvironment.DEBUG)
    admitted(request(attestation=token(environment=EvidenceEnvironment.DEBUG), signer=session_signer(held)), at)
    denied(request(), attestation_reasons.ENVIRONMENT_REFUSED, at)


def test_stolen_attestation_without_the_key_is_denied() -> None:
    thief = HardwareSigner(ec.derive_private_key(666, ec.SECP256R1()), JKT)
    denied(request(signer=thief), proof_reasons.SIGNATURE_INVALID)
    own = ec.derive_private_key(666, ec.SECP256R1())
    honest_name = HardwareSigner(own, jwk.thumbprint(jwk.from_public(own.public_key())))
    denied(request(signer=honest_name), proof_reasons.KEY_MISMATCH)


def test_session_of_another_attestation_is_denied() -> None:
    """Same instance, same sid, other expiry: the session key depends on it."""
    older = claims(expires_at=NOW + timedelta(minutes=3))
    denied(request(signer=session_signer(older)), proof_reasons.SIGNATURE_INVALID)


@pytest.mark.parametrize("remembered", [False, True], ids=["first", "again"])
class TestLookedAtEveryTime:
    """Remembering a verified attestation skips its signature and nothing else."""

    def world(self, *rules: dict[str, object], remembered: bool) -> Gate:
        at = gate(*rules)
        if remembered:
            admitted(request(), replace(at, routes=parse_rules([{"match": "/api/**"}])))
        return at

    def test_expiry(self, *, remembered: bool) -> None:
        at = self.world(remembered=remembered)
        late = NOW + timedelta(minutes=4)
        asked = request(created=int(late.timestamp()))
        denied(asked, attestation_reasons.EXPIRED, at, now=late)
        denied(asked, attestation_reasons.EXPIRED, at, now=late)

    @pytest.mark.parametrize("name", ["aW5zdGFuY2UtMDAwMDAwMQ", JKT])
    def test_ban(self, name: str, *, remembered: bool) -> None:
        at = self.world(remembered=remembered)
        decision = denied(request(), attestation_reasons.REVOKED, replace(at, revocations=Banned({name})))
        assert decision.attestation == claims()

    def test_route(self, *, remembered: bool) -> None:
        at = self.world({"match": "/api/**", "min_os": "19"}, remembered=remembered)
        denied(request(), route_reasons.OS_VERSION_TOO_OLD, at)

    def test_proof(self, *, remembered: bool) -> None:
        at = self.world(remembered=remembered)
        denied(with_headers(request(), signature="bonafide=:AAAA:"), proof_reasons.SIGNATURE_MALFORMED, at)


def test_remembered_attestation_skips_its_signature_only() -> None:
    at = gate()
    admitted(request(), at)
    no_keys = replace(at, keys=HeldKeys(published={}))
    admitted(request(), no_keys)
    denied(request(), attestation_reasons.KEY_UNKNOWN, replace(no_keys, memory=AttestationMemory()))


def test_refused_attestation_is_not_remembered() -> None:
    at = gate()
    denied(request(attestation=token(app="other")), attestation_reasons.KEY_OF_ANOTHER_APP, at)
    denied(
        request(attestation=token(environment=EvidenceEnvironment.DEBUG)), attestation_reasons.ENVIRONMENT_REFUSED, at
    )
    assert len(at.memory) == 0


def test_attestations_that_expired_make_way_for_new_ones() -> None:
    at = gate()
    for minute in range(60):
        now = NOW + timedelta(minutes=minute)
        for number in range(10):
            held = claims(instance=f"{minute}-{number}", issued_at=now, expires_at=now + timedelta(minutes=5))
            text = token(instance=held.instance, issued_at=now, expires_at=held.expires_at)
            sent = request(attestation=text, signer=session_signer(held), created=int(now.timestamp()))
            assert isinstance(admit(sent, gate=at, now=now), PendingAdmission)
    assert len(at.memory) <= 60


def test_memory_is_bounded_and_forgets_what_expired() -> None:
    at = gate(memory=AttestationMemory(max_entries=2))
    held = claims()
    for letter in "AEIMQ":
        held = claims(sid="A" * 20 + f"{letter}A")
        admitted(request(attestation=token(sid=held.sid), signer=session_signer(held)), at)
        assert len(at.memory) <= 2
    admitted(request(attestation=token(sid=held.sid), signer=session_signer(held)), at)
    late = NOW + timedelta(minutes=4)
    denied(request(attestation=token(sid=held.sid)), attestation_reasons.EXPIRED, at, now=late)
    assert len(at.memory) == 1


def test_gate_key_that_arrives_later_is_used() -> None:
    keys = HeldKeys(secrets={})
    at = gate(keys=keys)
    denied(request(), proof_reasons.SESSION_KEY_UNKNOWN, at)
    keys.secrets.update(HeldKeys().secrets)
    admitted(request(), at)


@pytest.mark.parametrize(
    ("rule", "changes", "reason"),
    [
        ({"tier": "affirming"}, {"tier": Tier.WARNING}, route_reasons.TIER_TOO_LOW),
        ({"tier": "warning"}, {"tier": Tier.NONE}, route_reasons.TIER_TOO_LOW),
        ({"tier": "none"}, {"tier": Tier.CONTRAINDICATED}, route_reasons.TIER_TOO_LOW),
        ({"platforms": ["android", "macos"]}, {}, route_reasons.PLATFORM_REFUSED),
        ({"min_version": "2.4"}, {}, route_reasons.APP_VERSION_TOO_OLD),
        ({"min_version": "2"}, {"app_version": "2.3-beta"}, route_reasons.APP_VERSION_TOO_OLD),
        ({"min_os": "18.2"}, {}, route_reasons.OS_VERSION_TOO_OLD),
        ({"min_os": "18"}, {"os_version": ""}, route_reasons.OS_VERSION_TOO_OLD),
    ],
    ids=str,
)
def test_instance_below_what_the_route_demands_is_denied(
    rule: dict[str, object], changes: dict[str, Any], reason: Reason
) -> None:
    held = claims(**changes)
    asked = request(attestation=token(**changes), signer=session_signer(held))
    denied(asked, reason, gate({"match": "/api/**", **rule}))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({"tier": "warning"}, {"tier": Tier.WARNING}),
        ({"tier": "none"}, {"tier": Tier.NONE}),
        ({"platforms": ["ios"]}, {"platform": Platform.IOS}),
        ({"min_version": "2.3.1"}, {}),
        ({"min_os": "18.1.0"}, {}),
    ],
    ids=str,
)
def test_instance_that_just_meets_the_demand_is_admitted(rule: dict[str, object], changes: dict[str, Any]) -> None:
    held = claims(**changes)
    admitted(request(attestation=token(**changes), signer=session_signer(held)), gate({"match": "/api/**", **rule}))


def test_tier_is_not_told_to_whoever_has_no_proof() -> None:
    """A thief of an attestation learns nothing about the route's demands."""
    at = gate({"match": "/api/**", "min_os": "19"})
    denied(with_headers(request(), signature="bonafide=:AAAA:"), proof_reasons.SIGNATURE_MALFORMED, at)


def test_slow_upload_route_takes_older_proofs_and_others_do_not() -> None:
    late = NOW + timedelta(seconds=200)
    admitted(request(), gate({"match": "/api/**", "max_age": 300}), now=late)
    admitted(request(signer=HARDWARE), gate({"match": "/api/**", "max_age": 300}), now=late)
    denied(request(), proof_reasons.CREATED_TOO_OLD, now=late)
    denied(request(signer=HARDWARE), proof_reasons.CREATED_TOO_OLD, now=late)


def test_proof_made_in_the_future_is_denied() -> None:
    denied(request(created=int(NOW.timestamp()) + 6), proof_reasons.CREATED_IN_FUTURE)


def test_upgrade_passes_on_the_route_that_allows_it() -> None:
    asked = with_headers(request(), upgrade="websocket")
    denied(asked, request_reasons.UPGRADE)
    admitted(asked, gate({"match": "/api/**", "upgrade": True}))


@pytest.mark.parametrize("protocol", ["", "h2c", "TLS/1.0", "websocket, h2c", "websocket/13"])
def test_upgrade_to_anything_but_a_websocket_is_denied_on_every_route(protocol: str) -> None:
    """Behind it would be a tunnel, and what goes through it would be judged by nobody."""
    asked = with_headers(request(), upgrade=protocol)
    denied(asked, request_reasons.UPGRADE, gate({"match": "/api/**", "upgrade": True}))


@pytest.mark.parametrize("name", ["authorization", "cookie", "content-type"])
def test_covered_field_that_is_empty_is_denied(name: str) -> None:
    """A server may say '' for octets that are not ASCII, and hand those on to whom it serves."""
    bare = request(headers={"authorization": None})
    admitted(bare)
    denied(with_headers(bare, **{name.replace("-", "_"): ""}), request_reasons.FIELD_NOT_ASCII)


def test_request_in_a_refused_form_is_denied() -> None:
    denied(with_headers(request(), content_encoding="gzip"), request_reasons.CONTENT_CODING)


LEGACY = {"match": "/api/**", "legacy": {"until": date(2026, 12, 1), "max_share": 0.2}}
BARE = with_headers(request(), oauth_client_attestation=None, signature=None, signature_input=None, content_digest=None)


def test_old_app_passes_a_legacy_route_unproven() -> None:
    assert isinstance(admit(BARE, gate=gate(LEGACY), now=NOW), Unproven)
    denied(BARE, attestation_reasons.MISSING)


def test_legacy_ends_on_its_date() -> None:
    end = NOW.replace(month=12, day=1, hour=0)
    assert isinstance(admit(BARE, gate=gate(LEGACY), now=end - timedelta(seconds=1)), Unproven)
    denied(BARE, route_reasons.LEGACY_ENDED, gate(LEGACY), now=end)


@pytest.mark.parametrize("kept", ["signature", "signature-input"])
def test_half_a_proof_is_no_old_app(kept: str) -> None:
    denied(with_headers(BARE, **{kept: "x"}), attestation_reasons.MISSING, gate(LEGACY))


def test_failed_proof_does_not_fall_back_to_legacy() -> None:
    denied(with_headers(request(), signature="bonafide=:AAAA:"), proof_reasons.SIGNATURE_MALFORMED, gate(LEGACY))


def test_request_signed_for_another_origin_is_denied() -> None:
    other = Origin(scheme="https", authority="staging.example.com")
    denied(request()._replace(origin=other), proof_reasons.SIGNATURE_INVALID)


GATE = gate()
NAMES = st.sampled_from(
    [
        "oauth-client-attestation",
        "signature",
        "signature-input",
        "content-digest",
        "authorization",
        "cookie",
        "content-type",
        "content-encoding",
        "upgrade",
        "trailer",
        "x-http-method-override",
        "host",
    ]
)
ANY = st.text(max_size=30)


@settings(max_examples=10_000, derandomize=True, deadline=None, database=None)
@given(
    method=ANY | st.just("GET"),
    target=ANY | st.just("/api/x"),
    headers=st.dictionaries(NAMES, ANY, max_size=6),
    keep=st.booleans(),
)
def test_no_request_of_any_shape_raises_or_is_admitted(
    method: str, target: str, headers: dict[str, str], *, keep: bool
) -> None:
    base = dict(request().headers) if keep else {}
    asked = HttpRequest(method=method, origin=request().origin, target=target, headers={**base, **headers})
    decision: Decision = admit(asked, gate=GATE, now=NOW)
    assert isinstance(decision, Denied) or (keep and not headers)


class _Recording(dict[str, str]):
    """Header fields that remember which of them were asked for."""

    def __init__(self, fields: Any) -> None:
        super().__init__(fields)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("signer", [HARDWARE, session_signer()], ids=["hardware", "session"])
def test_judging_looks_at_no_header_field_that_adapters_are_not_told_of(signer: Any) -> None:
    """A gate hands over these fields and no others: one that was forgotten here would be judged as absent there."""
    original = request(signer=signer, headers={"cookie": "a=b", "content-type": "text/plain"})
    recording = _Recording(original.headers)
    admitted(original._replace(headers=recording), gate())
    refused = _Recording({**original.headers, "upgrade": "x"})
    denied(original._replace(headers=refused), request_reasons.UPGRADE)
    assert {"signature", "cookie", "authorization"} <= recording.asked
    assert recording.asked | refused.asked <= FIELDS_READ


def _sealing(**rule: object) -> Gate:
    return gate({"match": "/api/**", "seal": True, **rule})


@pytest.mark.parametrize("signer", [None, HARDWARE])
def test_answer_key_is_that_of_the_question_whichever_key_signed_it(signer: HardwareSigner | None) -> None:
    asked = request(signer=signer)
    decision = admitted(asked, _sealing())
    base = parse_proof(asked, path="/api/config", query="?", attestation=asked.headers["oauth-client-attestation"]).base
    expected = expected_answer_key(session_key_of(claims()), base.decode())
    assert decision.answer_key == AnswerKey(sid=SID, key=expected)
    other = admitted(request(signer=signer, nonce="b3RoZXJvdGhlcm90aGVyb3"), _sealing())
    assert other.answer_key is not None
    assert other.answer_key.key != expected


def test_each_of_many_requests_has_an_answer_key_of_its_own_and_one_derivation_serves_them() -> None:
    at, keys = _sealing(), CountingKeys()
    at = replace(at, keys=keys)
    sealed = {admitted(request(nonce=f"{number:022d}"), at).answer_key for number in range(5)}
    assert len(sealed) == 5
    assert keys.asked == 2  # once for the key that verifies, once for the key that seals


@pytest.mark.parametrize("rule", [{}, {"seal": False}])
def test_a_route_in_clear_derives_no_key(rule: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "answer_key", _never)
    monkeypatch.setattr(admission, "seal_response_key", _never)
    at = gate({"match": "/api/**", **rule})
    assert admitted(request(), at).answer_key is None
    (known,) = at.memory._known.values()
    assert known.seal_response_key is None


def _never(*_: object, **__: object) -> None:
    pytest.fail("a key was derived")


@dataclass
class CountingKeys(HeldKeys):
    """Counts how often a gate key is asked for."""

    asked: int = 0

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key."""
        self.asked += 1
        return super().secret(kid, now)


def test_head_is_refused_where_its_answer_would_be_sealed_and_nowhere_else() -> None:
    denied(request(method="HEAD"), route_reasons.HEAD_NOT_SEALED, _sealing())
    assert admitted(request(method="HEAD"), gate()).answer_key is None
    for method in ("GET", "POST", "OPTIONS"):
        assert admitted(request(method=method), _sealing()).answer_key is not None


def _without_session(at: Gate) -> str:
    """Return the token of an instance without a session, which a gate remembers as verified."""
    held = claims(sid="", gate_key="")
    text = token()
    known = KnownAttestation(claims=held, expires=held.expires_at.timestamp(), jkt=JKT)
    at.memory.keep(sha256(text.encode()).digest(), known, NOW.timestamp())
    return text


def test_instance_without_a_session_is_refused_where_answers_are_sealed_and_by_its_own_name() -> None:
    at = _sealing()
    asked = request(signer=HARDWARE, attestation=_without_session(at))
    refusal = denied(asked, route_reasons.SESSION_REQUIRED, at)
    assert refusal.proven_instance == claims().instance
    clear = gate()
    asked = request(signer=HARDWARE, attestation=_without_session(clear))
    assert admitted(asked, clear).answer_key is None


def test_instance_without_a_session_makes_no_session_proof() -> None:
    at = gate()
    denied(request(attestation=_without_session(at)), proof_reasons.SESSION_KEY_UNKNOWN, at)


def test_session_is_asked_for_after_the_proof_held() -> None:
    at = _sealing()
    asked = request(signer=HARDWARE, attestation=_without_session(at))
    denied(asked._replace(target="/api/other"), proof_reasons.SIGNATURE_INVALID, at)


def test_gate_key_that_has_gone_seals_no_answer() -> None:
    at = replace(_sealing(), keys=HeldKeys(secrets={}))
    denied(request(signer=HARDWARE), proof_reasons.SESSION_KEY_UNKNOWN, at)


@pytest.mark.parametrize("signer", [None, HARDWARE])
def test_answer_key_made_afterwards_is_the_one_the_route_would_have_brought(signer: HardwareSigner | None) -> None:
    asked = request(signer=signer)
    in_clear = admitted(asked)
    made = answer_key_of(asked, in_clear, keys=HeldKeys(), now=NOW)
    assert made == admitted(asked, _sealing()).answer_key
    with pytest.raises(VerificationFailed) as refusal:
        answer_key_of(asked, in_clear, keys=HeldKeys(secrets={}), now=NOW)
    assert refusal.value.reason is proof_reasons.SESSION_KEY_UNKNOWN
    bare = in_clear._replace(attestation=claims(sid="", gate_key=""))
    with pytest.raises(VerificationFailed) as refusal:
        answer_key_of(asked, bare, keys=HeldKeys(), now=NOW)
    assert refusal.value.reason is route_reasons.SESSION_REQUIRED


def test_answer_key_and_what_it_derives_from_are_never_shown() -> None:
    at = _sealing()
    decision = admitted(request(), at)
    assert decision.answer_key is not None
    (known,) = at.memory._known.values()
    assert known.seal_response_key is not None
    assert known.mac_key is not None
    shown = repr((decision, known))
    for secret in (decision.answer_key.key, known.seal_response_key, known.mac_key):
        assert repr(secret) not in shown
        assert secret.hex() not in shown
