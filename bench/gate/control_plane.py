"""What an enrolment and a renewal cost the service and a PostgreSQL of its own: the projection's other unit costs.

A real `bonafide serve` answers software iPhones over HTTP, with everything that a request meets there: granian,
Django, the views, the limits, sealed keys, pooled connections. An enrolment is a challenge, an attestation and two
answers, a renewal likewise with an assertion where one is asked for. The phones live in this process, whose CPU is
not counted.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.serialization import Encoding

from bench.gate.accounting import spent_us
from bench.gate.measuring import cost_of, median, verifying
from bonafide.stores.sealing_keys.key_file import FileSealingKey
from bonafide.testing.apple import FakeApple
from bonafide.testing.client import AppClient, Build
from bonafide.testing.iphone import IPhone
from deploy.cluster import Loopback
from deploy.machines import APP, BUNDLE, ORIGIN, PREFIX, TEAM, ServiceMachine
from deploy.postgresql import PostgreSql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PHONES: Final = 60
ROUNDS: Final = 5
AT_ONCE: Final = 4
"""As many phones as there are threads in a worker: the service is at work, and nobody queues."""


@dataclass(frozen=True, slots=True)
class Plane:
    """A running service with its database, and the phones that may enrol."""

    service: ServiceMachine
    database: PostgreSql
    apple: FakeApple
    thumbprints: Sequence[str]

    def phone(self) -> AppClient:
        """Return a phone that has not enrolled, with a connection of its own."""
        device = IPhone(Build(app=APP, identity=f"{TEAM}.{BUNDLE}"), apple=self.apple, clock=time.time)
        transport = Loopback(lambda _: self.service.port)
        return AppClient(
            device, api=ORIGIN, service=PREFIX, service_keys=self.thumbprints, transport=transport, timeout=20.0
        )

    def spent(self) -> tuple[float, float]:
        """Return the microseconds that all processes of the service, and all of the database, have taken so far."""
        return spent_us(self.service.process.pid), spent_us(self.database.process.pid)


def measure(*, phones: int = PHONES, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return an entry for each kind of message, and for each of the two programs that pay for it."""
    costs: dict[str, list[tuple[float, float]]] = {"an enrolment": [], "a renewal": []}
    verify, raw = verifying(), []
    with running() as plane, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(rounds + 1):
            raw.append(cost_of(verify))
            new = [plane.phone() for _ in range(phones)]
            costs["an enrolment"].append(_spend(plane, pool, [phone.enrol for phone in new]))
            costs["a renewal"].append(_spend(plane, pool, [phone.renew for phone in new]))
            for phone in new:
                phone.close()
    unit = median(raw)
    return [
        {
            "name": f"{what}, {who}",
            "us_per_op": round(median(found[index] for found in taken[1:]), 3),  # the first round warms up
            "versus": "P-256 verify (cryptography)",
            "ratio": round(median(found[index] for found in taken[1:]) / unit, 4),
        }
        for what, taken in costs.items()
        for index, who in enumerate(("service", "PostgreSQL"))
    ]


def _spend(plane: Plane, pool: ThreadPoolExecutor, acts: Sequence[Callable[[], object]]) -> tuple[float, float]:
    """Return microseconds of CPU for one of these acts: of the service, and of the database."""
    before = plane.spent()
    for done in [pool.submit(act) for act in acts]:
        done.result()
    service, database = (now - then for now, then in zip(plane.spent(), before, strict=True))
    return service / len(acts), database / len(acts)


@contextmanager
def running() -> Iterator[Plane]:
    """Start a service with a database of its own, and end both."""
    apple = FakeApple()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bonafide-bench-")))
        database = PostgreSql()
        stack.callback(database.remove)
        database.start()
        anchor, sealing_key = directory / "apple.pem", directory / "sealing.key"
        anchor.write_bytes(apple.anchors[0].certificate.public_bytes(Encoding.PEM))
        FileSealingKey(sealing_key).make()
        service = ServiceMachine(
            name="service",
            directory=directory / "service",
            database=database.url,
            sealing_key=sealing_key,
            extra=f'unsafe_test_anchors = ["{anchor}"]',
        )
        service.write()
        stack.callback(service.process.stop)
        service.process.start()
        service.run("apps", "add", APP, "--identity", f"{TEAM}.{BUNDLE}")
        listed = service.run("keys", "list").splitlines()
        thumbprints = [line.split()[2] for line in listed if line.startswith(("service key", "its spare"))]
        yield Plane(service, database, apple, thumbprints)
