"""One request's way through admission: what was decided, whether it takes effect, and what is written down."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from bonafide import dpop_answer
from bonafide.admission import Admitted, Denied, Exempt, PendingAdmission, Unproven, admit
from bonafide.django import adapters, behind_gate, problems, rollout, sealed_answers, spool
from bonafide.django.behind_gate import Observed
from bonafide.django.records import Seen
from bonafide.django.service_routes import SERVICE
from bonafide.errors import MalformedEvidence, Misuse, VerificationFailed
from bonafide.http import HttpRequest, split_target
from bonafide.proof.content_digest import verify_digest
from bonafide.reasons import request as request_reasons
from bonafide.reasons import route as route_reasons
from bonafide.routes import Client
from bonafide.routes.ramp import network_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from django.http import HttpRequest as DjangoRequest
    from django.http import HttpResponse
    from django.http.response import HttpResponseBase

    from bonafide.admission import Gate, Keys
    from bonafide.django.runtime import Runtime
    from bonafide.routes import Route

Verdict = Admitted | Exempt | Unproven | Observed | Denied


class Judgement:
    """One request, judged at `now` by one runtime."""

    def __init__(self, request: DjangoRequest, runtime: Runtime, now: datetime) -> None:
        self.runtime: Final = runtime
        self._request = request
        self._now = now
        self._sent: HttpRequest | None = None
        self._gate_record = ""
        self._past_gate = False
        self._keys: Keys | None = None
        self._added: Mapping[str, str] = {}

    def judge(self, gate: Gate) -> Verdict:
        """Admit the request or deny it, first use included; what the body is comes after."""
        return self.settle(self.decide(gate))

    def decide(self, gate: Gate) -> Verdict | PendingAdmission:
        """Admit the request or deny it, as far as that can be told without the replay store."""
        self._keys = gate.keys
        try:
            self._sent = adapters.read_request(self._request, self.runtime.origins)
        except MalformedEvidence as refusal:
            return self._unreadable(refusal, gate)
        self._request.bonafide_gate_keys = gate.keys  # type: ignore[attr-defined]  # what `sealed_answers` reads
        return admit(self._sent, gate=gate, now=self._now)

    def settle(self, decision: Verdict | PendingAdmission) -> Verdict:
        """Ask the replay store where the decision waits for it."""
        if isinstance(decision, PendingAdmission):
            answer = self.runtime.replay.remember(
                decision.replay_key, created=decision.created, now=self._now.timestamp()
            )
            decision = decision.settle(answer)
        if isinstance(decision, Admitted):
            self.runtime.legacy.proven(decision.route)
        elif isinstance(decision, Unproven) and not self.runtime.legacy.admits(decision.route):
            return Denied(route_reasons.LEGACY_SHARE_EXCEEDED, "", decision.route)
        return decision

    def judge_statement(self) -> Verdict:
        """Find what the gate's word about the request means here; without one, it came past the gate."""
        try:
            token = behind_gate.read_token(self._request)
            self._sent = adapters.read_request(self._request, self.runtime.origins)
            judged = behind_gate.judge(
                token,
                self._sent,
                keys=self.runtime.admission_keys,
                routes=self.runtime.routes,
                now=self._now,
            )
        except (MalformedEvidence, VerificationFailed) as refusal:
            self._past_gate = True
            return Denied(refusal.reason, refusal.detail)
        self._gate_record = judged.statement.record
        return judged.verdict

    def _unreadable(self, refusal: MalformedEvidence, gate: Gate) -> Verdict:
        """Refuse; but a route that asks for no proof needs no origin either, e.g. a health check by address."""
        route = None
        if refusal.reason is request_reasons.HOST_UNKNOWN:
            try:
                path, _ = split_target(adapters.raw_target(self._request))
            except MalformedEvidence as worse:
                return Denied(worse.reason, worse.detail)
            route = gate.routes.match(adapters.raw_method(self._request), path)
            if route is not None and route.client is not Client.APP:
                return Exempt(route)
        return Denied(refusal.reason, refusal.detail, route)

    def compare_body(self, verdict: Verdict) -> Verdict:
        """Compare the body with the digest that was covered, if one was, and with the route's `max_body`."""
        if isinstance(verdict, Denied | Observed):
            return verdict
        route = verdict.route
        covered = verdict.digest if isinstance(verdict, Admitted) else None
        if covered is None and route.max_body is None:
            return verdict
        try:
            actual = spool.read_digest(
                self._request, max_bytes=route.max_body, memory_bytes=self.runtime.settings.spool_memory
            )
            if covered is not None:
                verify_digest(covered, actual)
        except (MalformedEvidence, VerificationFailed, Misuse) as refusal:
            attestation = verdict.attestation if isinstance(verdict, Admitted) else None
            return Denied(refusal.reason, refusal.detail, route, attestation)
        return verdict

    def conclude(self, verdict: Verdict) -> HttpResponse | None:
        """Write the verdict down, show the view what it may see, and return the answer of a refusal that holds."""
        adapters.hide_client_claims(self._request, None if self._sent is None else self._sent.headers)
        if self._keys is not None and not isinstance(verdict, Observed):  # behind a gate, the gate hands out nonces
            self._added = dpop_answer.fields(verdict, keys=self._keys, now=self._now, random=secrets.token_bytes)
        if isinstance(verdict, Denied):
            return self._refuse(verdict)
        if isinstance(verdict, Observed):  # the gate has written it down
            self._request.bonafide = None  # type: ignore[attr-defined]  # what views read
            return None
        self._request.bonafide = verdict  # type: ignore[attr-defined]  # what views read
        if isinstance(verdict, Exempt):
            return None
        attestation = None
        if isinstance(verdict, Admitted):
            attestation = verdict.attestation
            if verdict.answer_key is not None:
                sealed_answers.promise(self._request, verdict.answer_key)
        self.runtime.records.admitted(
            Seen(
                method=self._method(),
                route=verdict.route.match,
                enforced=verdict.route.enforced_share >= 1,
                app="" if attestation is None else attestation.app,
                app_version="" if attestation is None else attestation.app_version,
                instance=None if attestation is None else attestation.instance,
            )
        )
        return None

    def complete(self, response: HttpResponseBase) -> HttpResponseBase:
        """Put the nonce for the next DPoP proof on the view's answer, also where a rehearsal let a request in."""
        nonce = self._added.get(dpop_answer.NONCE)
        if nonce is not None:
            response.setdefault(dpop_answer.NONCE, nonce)
        return response

    def leave_to_itself(self) -> None:
        """Mark a request to the service's own endpoints, which verify their callers."""
        adapters.hide_client_claims(self._request, None)
        self._request.bonafide = SERVICE  # type: ignore[attr-defined]  # what views read

    def refuse_detour(self) -> HttpResponse | None:
        """Refuse a request that was let through as the service's own, and was then led to another view."""
        self._past_gate = self.runtime.is_behind_gate  # no gate spoke for it: it was to need none
        return self._refuse(Denied(route_reasons.NOT_LISTED, "the URLconf changed after admission"))

    def _refuse(self, denied: Denied) -> HttpResponse | None:
        self._request.bonafide = None  # type: ignore[attr-defined]  # what views read
        instance = denied.proven_instance
        enforced = self._is_enforced(denied.route, instance)
        record = self.runtime.records.refused(
            Seen(
                method=self._method(),
                route="" if denied.route is None else denied.route.match,
                enforced=enforced,
                app="" if denied.attestation is None else denied.attestation.app,
                app_version="" if denied.attestation is None else denied.attestation.app_version,
                instance=instance,
            ),
            denied.reason,
            f"{denied.detail} (gate's record {self._gate_record})".lstrip() if self._gate_record else denied.detail,
        )
        return problems.refuse(denied.reason, record, added=self._added) if enforced else None

    def _is_enforced(self, route: Route | None, instance: str | None) -> bool:
        if self._past_gate:
            return True
        if route is None:
            return self.runtime.routes.enforces
        address = adapters.client_address(self._request.META, self.runtime.settings.trusted_proxies)
        enforced = rollout.is_enforced(route, instance=instance, network=network_of(address))
        return enforced and not self.runtime.is_open(route, self._now)

    def _method(self) -> str:
        return adapters.raw_method(self._request)
