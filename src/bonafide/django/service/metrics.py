"""What Prometheus may know: counts, times and states, under labels of which there are few and all are ours.

Every process counts for itself, in files that `PROMETHEUS_MULTIPROC_DIR` names; the operator's listener adds them up,
and asks the database for what stands there. No label holds anything that a client wrote.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db.models import Count
from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bonafide.django import conf
from bonafide.django.documents import pins
from bonafide.django.models import Ban, Opening, RegisteredGate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.http import HttpRequest
    from prometheus_client.core import Metric

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS: Final = Counter("bonafide_requests", "Requests, by endpoint and class of status.", ["endpoint", "status"])
SECONDS: Final = Histogram(
    "bonafide_request_seconds", "Time to the answer, by endpoint.", ["endpoint"], buckets=_SECONDS
)
ISSUED: Final = {
    "bonafide:challenge": Counter("bonafide_challenges", "Challenges that were issued."),
    "bonafide:instances": Counter("bonafide_enrolments", "Enrolments that were answered with an instance."),
    "bonafide:renewals": Counter("bonafide_renewals", "Renewals that were answered with a client attestation."),
    "bonafide:secrets": Counter("bonafide_secrets_deliveries", "Secrets that were handed out."),
    "bonafide:configuration": Counter("bonafide_configuration_deliveries", "Configurations that were handed out."),
    "bonafide:pins": Counter("bonafide_pins_deliveries", "Pins that were handed out."),
    "bonafide:gate": Counter("bonafide_provisions", "Asks of gates that were answered."),
}
REFUSALS: Final = Counter("bonafide_refusals", "Refusals, by reason code.", ["reason"])


class CountRefusals(logging.Handler):
    """Counts refusals by the reason that the operator's record has; reasons are a closed list."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        said = getattr(record, "bonafide", None)
        if isinstance(said, dict) and isinstance(said.get("reason"), str):
            REFUSALS.labels(said["reason"]).inc()


def connect() -> None:
    """Count what `bonafide.refusals` logs, once in each process."""
    logger = logging.getLogger("bonafide.refusals")
    if not any(isinstance(handler, CountRefusals) for handler in logger.handlers):
        logger.addHandler(CountRefusals())


class Standing(Collector):
    """What stands in the database now: bans, openings, and when gates were last heard of."""

    def collect(self) -> Iterator[Metric]:
        """Ask; a database that does not answer leaves these out, and says so in `bonafide_database_up`."""
        now = timezone.now()
        up = GaugeMetricFamily("bonafide_database_up", "Whether the database answers.")
        try:
            found = list(_standing(now))
        except DatabaseError:
            found = []
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
        yield up
        yield from found


def _standing(now: datetime) -> Iterator[Metric]:
    environment = conf.current().environment
    bans = GaugeMetricFamily("bonafide_bans", "Bans that stand, by what they name.", labels=["scope"])
    rows = Ban.objects.filter(Ban.stands(now), environment=environment)
    for scope, count in rows.values_list("scope").annotate(count=Count("pk")).order_by():
        bans.add_metric([scope], count)
    yield bans
    openings = Opening.objects.filter(environment=environment, until__gt=now, closed_at__isnull=True)
    yield GaugeMetricFamily("bonafide_openings", "Routes whose glass is broken. Alarm on any.", value=openings.count())
    heard = GaugeMetricFamily(
        "bonafide_gate_last_contact_timestamp_seconds", "When a gate was last answered.", labels=["gate"]
    )
    gates = RegisteredGate.objects.filter(environment=environment, retired_at__isnull=True)
    for name, at in gates.values_list("name", "last_asked_at"):
        heard.add_metric([name], 0 if at is None else at.timestamp())
    yield heard
    ends = GaugeMetricFamily(
        "bonafide_pins_end_timestamp_seconds",
        "When published pins end, and the certificates that were pinned. Alarm 30 days before.",
        labels=["app", "host"],
    )
    for ending in pins.endings(environment):
        ends.add_metric([ending.app, ending.host], ending.ends_at.timestamp())
    yield ends


@require_safe
def exposition(_request: HttpRequest) -> HttpResponse:
    """`GET /metrics`, on the operator's listener alone."""
    registry = CollectorRegistry()
    if VARIABLE in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client has no types there
    registry.register(Standing())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE)
