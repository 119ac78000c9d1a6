"""The phones of one sending process: many instances, whose attestations run out and are renewed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from demonstration.wire import RawRequest

from bench.gate.phones import APP_HEADERS, ISSUING, Phone, make_phone, new_nonce
from bench.gate.processes import HOST
from bonafide.proof.content_digest import digest_of

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from bonafide.proof.http_signature import HardwareSigner, SessionSigner

RENEWED_AFTER_S: Final = (60.0, 240.0)
"""An attestation of five minutes is replaced at a time between these."""


@dataclass(slots=True)
class Person:
    """A customer with a phone. Under the names that the demo's attacks know (`demonstration.world.Person`)."""

    phone: Phone
    renew_at: float

    @property
    def bearer(self) -> str:
        """A bearer that the API has bound to this phone's key."""
        return self.phone.bearer

    @property
    def attestation(self) -> str:
        """The client attestation that the phone holds now."""
        return self.phone.attestation

    @property
    def hardware(self) -> HardwareSigner:
        """What the Secure Enclave signs with."""
        return self.phone.hardware

    @property
    def session(self) -> SessionSigner:
        """What the running app signs with."""
        return self.phone.session


class Fleet:
    """All phones of one process."""

    def __init__(self, size: int, order: random.Random) -> None:
        """Enrol `size` phones."""
        self._order = order
        now = datetime.now(UTC)
        self._people = [self._enrol(now) for _ in range(size)]

    def pick(self) -> Person:
        """Return some phone, with an attestation that stands."""
        number = self._order.randrange(len(self._people))
        now = datetime.now(UTC)
        if now.timestamp() >= self._people[number].renew_at:
            self._people[number] = self._enrol(now)
        return self._people[number]

    def _enrol(self, now: datetime) -> Person:
        phone = make_phone(ISSUING, now, lives=timedelta(minutes=5))
        bound = replace(phone, bearer=f"{phone.hardware.key_id}.{new_nonce()}")
        return Person(bound, now.timestamp() + self._order.uniform(*RENEWED_AFTER_S))


def signed(
    person: Person,
    method: str,
    target: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    bearer: bool = True,
    hardware: bool = False,
) -> RawRequest:
    """Return a request as the genuine app sends it."""
    more = {name.lower(): value for name, value in (headers or {}).items()}
    created = int(datetime.now(UTC).timestamp())
    request = person.phone.signed(
        method, target, created=created, hardware=hardware, headers=more, bearer=bearer, digest=digest_of((body,))
    )
    lines = {"Host": HOST, **APP_HEADERS, **request.headers}
    if body:
        lines["Content-Length"] = str(len(body))
    return RawRequest(method=method, target=target, headers=tuple(lines.items()), body=body)
