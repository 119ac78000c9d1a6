"""One request's way through a gate: judged as in Django's middleware, answered for a proxy (PROTOCOL section 7)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bonafide import dpop_answer, statement
from bonafide.admission import Admitted, Denied, Exempt, Gate, PendingAdmission, Unproven, admit
from bonafide.attestation_memory import MAX_KNOWN_ATTESTATIONS, AttestationMemory
from bonafide.codec import base64url
from bonafide.errors import MalformedEvidence
from bonafide.gate.asked import read_request
from bonafide.gate.config import BodyDigest
from bonafide.gate.rates import RatesUnavailable
from bonafide.http import Origins
from bonafide.proof.http_signature import digest_of_fields
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.reasons import store as store_reasons
from bonafide.routes import ramp
from bonafide.statement import Sender, Statement
from bonafide.stores.legacy_meter import LegacyMeter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from bonafide.client_attestation import ClientAttestation
    from bonafide.gate.asked import Asked
    from bonafide.gate.config import GateConfig, Upstream
    from bonafide.gate.provisioned import Provisioned
    from bonafide.gate.rates import Rates
    from bonafide.opening import Opening
    from bonafide.ports import ReplayStore

Verdict = Admitted | Exempt | Unproven | Denied

_RECORD_OCTETS: Final = 16
_RECORDS_AT_ONCE: Final = 64

_network_of: Final = lru_cache(maxsize=4096)(ramp.network_of)  # a phone asks more than once


class Passed(NamedTuple):
    """The request may go on, with this statement. `verdict` may be a refusal that takes no effect.

    `added` is what `dpop_answer` says: fields for the answer to the client.
    """

    statement: str
    record: str
    verdict: Verdict
    upstream: str
    opening: Opening | None = None
    added: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The request must not go on. `retry_after` is what a limit asks for, `added` as in `Passed`."""

    denied: Denied
    record: str
    upstream: str
    retry_after: timedelta | None = None
    added: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Door:
    """One upstream: its rules, and the key of its statements."""

    upstream: Upstream
    gate: Gate
    issuer: statement.Issuer


class Judge:
    """One worker's judgement. Threads may share it."""

    def __init__(
        self,
        config: GateConfig,
        *,
        keys: Mapping[str, bytes],
        provisioned: Provisioned,
        replay: ReplayStore,
        rates: Rates,
    ) -> None:
        """Take the parts; `keys` are the admission keys by the names of upstreams."""
        self._provisioned = provisioned
        self._replay = replay
        self._rates = rates
        self._legacy = LegacyMeter()
        self._origins = Origins(origin for upstream in config.upstreams for origin in upstream.origins)
        self._senders = _Senders()
        self._records = _Records()
        self._config = config
        self._issuers = {name: statement.Issuer(key) for name, key in keys.items()}
        self._forgotten = provisioned.forgotten
        self._doors = self._open_doors()

    def judge(self, environ: Mapping[str, Any], now: datetime) -> Passed | Refused:
        """Judge what the proxy asks about. Raises nothing for any input of a client."""
        record = self._records.take()
        network = _network_of(environ.get("HTTP_ORIGINALADDRESS", ""))
        try:
            wait = self._rates.network(network)
            if wait is not None:
                return Refused(Denied(request_reasons.RATE_EXCEEDED, "network"), record, "", wait)
            asked = read_request(environ, self._origins)
        except MalformedEvidence as refusal:
            return Refused(Denied(refusal.reason, refusal.detail), record, "")
        except RatesUnavailable:
            return Refused(Denied(store_reasons.UNAVAILABLE, "rates"), record, "")
        door = self._current_doors()[asked.request.origin.authority]
        verdict, wait = self._decide(asked, door, now)
        return self._conclude(verdict, asked, door, record=record, network=network, now=now, wait=wait)

    def _current_doors(self) -> Mapping[str, _Door]:
        """Return the doors; with empty memories where a key was forgotten, which may have verified what is in them."""
        forgotten = self._provisioned.forgotten
        if forgotten != self._forgotten:
            self._doors = self._open_doors()  # a request that is under way remembers in those from before, which go
            self._forgotten = forgotten
        return self._doors

    def _open_doors(self) -> Mapping[str, _Door]:
        return {
            origin.authority: _Door(
                upstream, _gate(self._config, upstream, self._provisioned), self._issuers[upstream.name]
            )
            for upstream in self._config.upstreams
            for origin in Origins(upstream.origins)
        }

    def _decide(self, asked: Asked, door: _Door, now: datetime) -> tuple[Verdict, timedelta | None]:
        decision = admit(asked.request, gate=door.gate, now=now)
        if isinstance(decision, PendingAdmission):
            first_use = self._replay.remember(decision.replay_key, created=decision.created, now=now.timestamp())
            decision = decision.settle(first_use)
        if isinstance(decision, Denied):
            return decision, None
        refusal = _refuse_body(asked, decision, door.upstream)
        if refusal is not None:
            return refusal, None
        if isinstance(decision, Admitted):
            self._legacy.proven(decision.route)
            return self._within_rates(asked, decision)
        if isinstance(decision, Unproven) and not self._legacy.admits(decision.route):
            return Denied(route_reasons.LEGACY_SHARE_EXCEEDED, "", decision.route), None
        return decision, None

    def _within_rates(self, asked: Asked, admitted: Admitted) -> tuple[Verdict, timedelta | None]:
        """Count what was proven. A proof that is sent again has been refused by now, and eats nobody's share."""
        credential = asked.request.headers.get("authorization")
        try:
            wait, which = self._rates.instance(admitted.attestation.instance), "instance"
            if wait is None and credential is not None:
                wait, which = self._rates.user(credential), "user"
        except RatesUnavailable:
            return Denied(store_reasons.UNAVAILABLE, "rates", admitted.route, admitted.attestation), None
        if wait is None:
            return admitted, None
        return Denied(request_reasons.RATE_EXCEEDED, which, admitted.route, admitted.attestation), wait

    def _conclude(
        self,
        verdict: Verdict,
        asked: Asked,
        door: _Door,
        *,
        record: str,
        network: str,
        now: datetime,
        wait: timedelta | None,
    ) -> Passed | Refused:
        opening = None
        said = dpop_answer.fields(verdict, keys=self._provisioned, now=now, random=secrets.token_bytes)
        added = tuple(said.items())
        if isinstance(verdict, Denied):
            route = verdict.route
            if route is None:
                enforced = door.upstream.routes.enforces
            else:
                enforced = ramp.is_enforced(
                    route, instance=verdict.proven_instance, network=network, key=self._provisioned.ramp_key
                )
            if enforced and route is not None:
                opening = self._provisioned.opening(route.match, now)
            if enforced and opening is None:
                return Refused(verdict, record, door.upstream.name, wait, added)
        word = self._word(verdict, asked, door, record, now)
        return Passed(word, record, verdict, door.upstream.name, opening, added)

    def _word(self, verdict: Verdict, asked: Asked, door: _Door, record: str, now: datetime) -> str:
        """Return the statement about a request that goes on."""
        sender = spelt = sealed = None
        fields = ""
        if isinstance(verdict, Admitted):
            sender, spelt = self._senders.of(verdict, asked, now.timestamp())
            fields = digest_of_fields(asked.request.headers)
            sealed = verdict.answer_key
        said = Statement(
            method=asked.request.method,
            authority=asked.request.origin.authority,
            target=asked.request.target,
            route="" if verdict.route is None else verdict.route.match,
            client="app" if verdict.route is None else verdict.route.client.value,
            record=record,
            fields=fields,
            issued_at=now,
            sender=sender,
            answer_key=sealed,
        )
        return door.issuer.issue(said, spelt=spelt)


def _gate(config: GateConfig, upstream: Upstream, provisioned: Provisioned) -> Gate:
    return Gate(
        issuer=config.issuer,
        audience=config.audience,
        apps=config.apps,
        environments=config.evidence_environments,
        routes=upstream.routes,
        keys=provisioned,
        revocations=provisioned,
        memory=AttestationMemory(),
    )


def _refuse_body(asked: Asked, decision: Admitted | Exempt | Unproven, upstream: Upstream) -> Denied | None:
    route = decision.route
    attestation = decision.attestation if isinstance(decision, Admitted) else None
    if route.max_body is not None and asked.length is not None and asked.length > route.max_body:
        return Denied(request_reasons.BODY_TOO_LARGE, "", route, attestation)
    unread = upstream.body is BodyDigest.UNCHECKED and not upstream.unchecked_bodies
    if unread and asked.has_body and isinstance(decision, Admitted):
        return Denied(request_reasons.BODY_UNCHECKED, "", route, attestation)
    return None


class _Records:
    """Record ids, made some at a time: asking the system for each would cost more than making it."""

    def __init__(self) -> None:
        self._made: list[str] = []

    def take(self) -> str:
        try:
            return self._made.pop()  # one step, and nobody else's
        except IndexError:
            octets = secrets.token_bytes(_RECORDS_AT_ONCE * _RECORD_OCTETS)
            starts = range(0, len(octets), _RECORD_OCTETS)
            first, *more = [base64url.encode(octets[start : start + _RECORD_OCTETS]) for start in starts]
            self._made.extend(more)
            return first


class _Senders:
    """Who sent what was admitted, and how that is spelt, kept while the same attestation comes again.

    `admission` hands out one value for one verified attestation, so that identity is enough to know it by; each entry
    holds its attestation, whose place in memory therefore belongs to no other. What was not asked for during a whole
    turn is dropped, and a turn ends early where many come.
    """

    def __init__(self) -> None:
        self._young: dict[int, tuple[ClientAttestation, Sender, str]] = {}
        self._old: dict[int, tuple[ClientAttestation, Sender, str]] = {}
        self._turns_at = 0.0

    def of(self, admitted: Admitted, asked: Asked, moment: float) -> tuple[Sender, str]:
        if moment >= self._turns_at:
            self._old, self._young, self._turns_at = self._young, {}, moment + KEPT_S
        attestation = admitted.attestation
        place = id(attestation)
        found = self._young.get(place)
        if found is None and (found := self._old.get(place)) is not None:
            self._keep(place, found)
        if found is not None and found[0] is attestation:
            sender = found[1]
            if sender.digest == admitted.digest and sender.proof is admitted.proof:
                return sender, found[2]
        sender = _sender(admitted, asked)
        spelt = statement.spell(sender)
        self._keep(place, (attestation, sender, spelt))
        return sender, spelt

    def _keep(self, place: int, entry: tuple[ClientAttestation, Sender, str]) -> None:
        if len(self._young) >= MOST_SENDERS:
            self._old, self._young = self._young, {}
        self._young[place] = entry


KEPT_S: Final = 30.0
"""How long a turn is: an app that is in use asks more often."""

MOST_SENDERS: Final = MAX_KNOWN_ATTESTATIONS // 2
"""How many a turn has at most; two turns are kept, and no more attestations are known to `admission` either."""


def _sender(admitted: Admitted, asked: Asked) -> Sender:
    attestation = admitted.attestation
    return Sender(
        instance=attestation.instance,
        jkt=admitted.jkt,
        app=attestation.app,
        identity=attestation.identity,
        environment=attestation.environment,
        tier=attestation.tier,
        proof=admitted.proof,
        app_version=attestation.app_version,
        warnings=attestation.warnings,
        digest=admitted.digest,
        attestation=statement.digest_of_attestation(asked.request.headers["oauth-client-attestation"]),
    )
