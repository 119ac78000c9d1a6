"""Admission to the service's own endpoints that hand something out: the same gate as any route of the app.

Rules of this file: what a request must bring is what an app's route asks for (client attestation for the app's own
audience, our proof, its first use, no ban), and is judged by `admission.admit`. An endpoint's rule is no row of the
project's route table, so that no table, rehearsal or broken glass opens it. Beyond a gate, which trusts an attestation
until it ends, the instance's row and the policy of now are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bonafide import client_attestation
from bonafide.admission import Admitted, Denied, PendingAdmission, admit
from bonafide.attestation_memory import AttestationMemory
from bonafide.django import adapters, spool
from bonafide.django.records import Seen
from bonafide.documents import Addressee, question_of
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.proof.content_digest import digest_of, verify_digest
from bonafide.proof.http_signature import CLIENT_ATTESTATION, parse_proof, parse_request_line
from bonafide.reasons import appraisal as appraisal_reasons
from bonafide.reasons import enrolment as enrolment_reasons
from bonafide.reasons import misuse as misuse_reasons
from bonafide.reasons import route as route_reasons
from bonafide.routes import Route, RouteTable
from bonafide.terms import ProofKind, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest as DjangoRequest

    from bonafide.admission import Gate
    from bonafide.appraisal import App
    from bonafide.client_attestation import ClientAttestation
    from bonafide.django.runtime import Runtime
    from bonafide.http import HttpRequest
    from bonafide.ports import InstanceRecord

_ROUTES: Final[Mapping[ProofKind, RouteTable]] = {
    proof: RouteTable([Route(match="/**", methods=frozenset(["GET"]), proof=proof, tier=Tier.NONE)])
    for proof in (ProofKind.HARDWARE, ProofKind.SESSION)
}


class NotAdmitted(VerificationFailed):
    """A refusal with what was known of who asked, for the operator's record."""

    def __init__(self, denied: Denied, *, proven: bool = False) -> None:
        super().__init__(denied.reason, denied.detail)
        self.attestation = denied.attestation
        self.proven = proven or denied.proven_instance is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that an instance of `app` signed, here, now, once; its row as it stands; and what it is called."""

    app: App
    attestation: ClientAttestation
    record: InstanceRecord
    addressee: Addressee


class OwnGates:
    """One gate for each app, because each has an audience of its own."""

    def __init__(self) -> None:
        self._memories: dict[tuple[str, str], tuple[AttestationMemory, AttestationMemory]] = {}
        self._ready = False

    def judge(self, request: DjangoRequest, serving: Runtime, *, proof: ProofKind, now: datetime) -> Asked:
        """Admit the request, or raise.

        Raises `MalformedEvidence` (`request.*`) before anybody is known, then `NotAdmitted` with any reason of
        admission, `enrolment.instance_unknown`, `enrolment.key_mismatch`, `enrolment.instance_banned`,
        `enrolment.identity_unknown`, `appraisal.environment_refused`, `appraisal.not_attested`; `ConfigurationError`
        for a replay store that might forget.
        """
        self._require_ready(serving, now)
        sent = adapters.read_request(request, serving.origins)
        service = serving.service()
        app = service.app(_said_app(sent))
        gate = self._gate(serving.gate(), app, _ROUTES[proof])
        decision = admit(sent, gate=gate, now=now)
        if isinstance(decision, PendingAdmission):
            answer = serving.replay.remember(decision.replay_key, created=decision.created, now=now.timestamp())
            decision = decision.settle(answer)
        if isinstance(decision, Denied):
            raise NotAdmitted(decision)
        if not isinstance(decision, Admitted) or app is None:  # the rule is an app's: without one it admits nobody
            raise Misuse(misuse_reasons.VIEW_UNGUARDED, "an endpoint of the service admitted without a proof")
        try:
            _require_no_body(request, decision)
            _require_policy(app, decision.attestation)
            record = _row(serving, app, decision)
        except (MalformedEvidence, VerificationFailed) as refusal:
            denied = Denied(refusal.reason, refusal.detail, decision.route, decision.attestation)
            raise NotAdmitted(denied, proven=True) from None
        addressee = Addressee(app=app.name, instance=record.instance, jkt=decision.jkt, question=_question(sent))
        return Asked(app=app, attestation=decision.attestation, record=record, addressee=addressee)

    def _gate(self, base: Gate, app: App | None, routes: RouteTable) -> Gate:
        """Return the gate of one app. What it remembers goes when the base's does: apps or their keys have changed."""
        if app is None or app.name not in base.apps:
            return replace(base, apps=frozenset(), routes=routes, memory=AttestationMemory(1))
        held = self._memories.get((app.name, app.audience))
        if held is None or held[0] is not base.memory:
            held = self._memories[(app.name, app.audience)] = (base.memory, AttestationMemory())
        return replace(base, audience=app.audience, apps=frozenset([app.name]), routes=routes, memory=held[1])

    def _require_ready(self, serving: Runtime, now: datetime) -> None:
        """Ask the store whether it can keep its word: a control plane by itself has no middleware that did."""
        if not self._ready:
            serving.replay.require_ready(now=now.timestamp())
            self._ready = True


def refused(asked: Asked, refusal: VerificationFailed) -> NotAdmitted:
    """Return a refusal of somebody who was admitted, and cannot be given what they asked for."""
    return NotAdmitted(Denied(refusal.reason, refusal.detail, None, asked.attestation), proven=True)


def seen(name: str, attestation: ClientAttestation | None, *, proven: bool) -> Seen:
    """Return what the operator's record says of a request to the endpoint `name`."""
    return Seen(
        method="GET",
        route=f"bonafide:{name}",
        enforced=True,
        app="" if attestation is None else attestation.app,
        app_version="" if attestation is None else attestation.app_version,
        instance=attestation.instance if attestation is not None and proven else None,
    )


def _said_app(sent: HttpRequest) -> str:
    """Return the app that an attestation names, before it is verified: it picks the gate, and admits to none."""
    try:
        return client_attestation.parse(sent.headers.get(CLIENT_ATTESTATION, "")).app
    except (MalformedEvidence, VerificationFailed):
        return ""


def _require_no_body(request: DjangoRequest, admitted: Admitted) -> None:
    if admitted.digest is None:  # by DPoP, which none of these rules takes
        raise VerificationFailed(route_reasons.PROOF_KIND_TOO_WEAK)
    verify_digest(admitted.digest, digest_of((spool.read_short(request, max_bytes=0),)))


def _require_policy(app: App, attestation: ClientAttestation) -> None:
    """Refuse whose identity has gone, or whose evidence the policy of now would not take any more."""
    identity = app.identity(attestation.identity)
    if identity is None:
        raise VerificationFailed(enrolment_reasons.IDENTITY_UNKNOWN, attestation.identity)
    if attestation.tier is Tier.NONE:
        if not identity.policy.unattested:
            raise VerificationFailed(appraisal_reasons.NOT_ATTESTED)
    elif attestation.environment not in identity.policy.environments:
        raise VerificationFailed(appraisal_reasons.ENVIRONMENT_REFUSED, attestation.environment)


def _row(serving: Runtime, app: App, admitted: Admitted) -> InstanceRecord:
    record = serving.enrolments.instance(
        admitted.attestation.instance, app=app.name, environment=serving.settings.environment
    )
    if record is None:
        raise VerificationFailed(enrolment_reasons.INSTANCE_UNKNOWN)
    if record.jkt != admitted.jkt:
        raise VerificationFailed(enrolment_reasons.KEY_MISMATCH)
    if record.banned:
        raise VerificationFailed(enrolment_reasons.INSTANCE_BANNED)
    return record


def _question(sent: HttpRequest) -> str:
    """Return the digest of what was signed. The request was admitted, so it parses."""
    path, query = parse_request_line(sent)
    proof = parse_proof(sent, path=path, query=query, attestation=sent.headers[CLIENT_ATTESTATION])
    return question_of(proof.base)
