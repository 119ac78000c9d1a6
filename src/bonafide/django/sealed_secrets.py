"""Documents of keys in the database, sealed: what lets any number of service hosts share one set of keys.

Rules of this file:
- The database sees sealed octets alone. The place of a row (environment, name) is part of what is sealed, so a row
  that is copied over another, or into another environment, does not open.
- A document changes by compare-and-set on its version, in a transaction of its own. Inside somebody else's
  (ATOMIC_REQUESTS) nothing is written: keys that are used before they are committed are keys nobody else has.
- Rows are never deleted, so that a version does not come twice.

Not claimed: that a row is the newest. Who can write to the database can put back an older row, whole.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from django.db import Error, OperationalError, connections, router, transaction
from django.db.models import F
from django.utils import timezone

from bonafide.django.models import SealedSecret
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.reasons import configuration as reasons
from bonafide.reasons import store as store_reasons
from bonafide.stores.key_storage import StorageSilent

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from bonafide.ports import SealingKey
    from bonafide.terms import Environment

_ATTEMPTS: Final = 20
"""Each lost attempt is somebody else's success, or a false alarm of stricter isolation: more follow in no moment."""

_PAUSE_MS: Final = 20
"""Rivals that lost pause for up to this long, each for another time, so that they do not meet again."""

_SERIALIZATION_FAILURE: Final = "40001"

_T = TypeVar("_T")


class SealedSecrets:
    """`stores.key_storage.KeyStorage` of one environment, in the table of `SealedSecret`."""

    def __init__(
        self,
        environment: Environment,
        sealing_key: SealingKey,
        *,
        others: Collection[SealingKey] = (),
        using: str | None = None,
        clock: Callable[[], datetime] = timezone.now,
    ) -> None:
        """Take the key that seals; `others` open what they sealed, and seal nothing."""
        self._environment = environment
        self._key = sealing_key
        self._others = tuple(others)
        self._using = using
        self._clock = clock

    def where(self, name: str) -> str:
        """See `KeyStorage.where`."""
        return f"the sealed secret {self._environment}/{name}"

    def read(self, name: str) -> bytes | None:
        """See `KeyStorage.read`. The row is fetched outside any transaction of ours."""

        def fetch() -> bytes | None:
            row = self._row(name)
            return None if row is None else self._open(row)

        return self._asked(name, fetch)

    def change(self, name: str, plan: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """See `KeyStorage.change`. A plan may be asked several times; only its last answer is kept."""

        def attempt() -> tuple[bool, bytes | None]:
            row = self._row(name)
            held = None if row is None else self._open(row)
            planned = plan(held)
            if planned is None or planned is held:
                return True, held
            return self._write(name, planned, over=row), planned

        for _ in range(_ATTEMPTS):
            done, answer = self._asked(name, attempt)
            if done:
                return answer
            _pause()
        refusal = VerificationFailed(store_reasons.DATABASE_UNAVAILABLE, f"{self.where(name)}: too many writers")
        raise StorageSilent(self.where(name), "too many writers", refusal)

    def put(self, name: str, data: bytes) -> None:
        """See `KeyStorage.put`."""

        def write() -> bool:
            return self._write(name, data, over=None) or self._overwrite(name, data)

        self._asked(name, write)

    def names(self) -> list[str]:
        """Return the names of all documents of the environment, in order."""
        rows = SealedSecret.objects.using(self._alias()).filter(environment=self._environment)
        return list(rows.order_by("name").values_list("name", flat=True))

    def reseal(self, name: str) -> bool:
        """Seal a document under the key of now, if another sealed it; tell whether that was so.

        A process that dies in between leaves a document that opens under one of the two. Raises as `KeyStorage`.
        """

        def attempt() -> bool | None:
            row = self._row(name)
            if row is None or row.sealing_key == self._key.name:
                return False
            return True if self._write(name, self._open(row), over=row) else None

        for _ in range(_ATTEMPTS):
            done = self._asked(name, attempt)
            if done is not None:
                return done
            _pause()
        refusal = VerificationFailed(store_reasons.DATABASE_UNAVAILABLE, f"{self.where(name)}: too many writers")
        raise StorageSilent(self.where(name), "too many writers", refusal)

    def _row(self, name: str) -> SealedSecret | None:
        rows = SealedSecret.objects.using(self._alias())
        return rows.filter(environment=self._environment, name=name).first()

    def _open(self, row: SealedSecret) -> bytes:
        """Open a row by the key that it names. What it names only picks one of those we trust."""
        key = next((key for key in (self._key, *self._others) if key.name == row.sealing_key), None)
        if key is None:
            detail = f"{self.where(row.name)} was sealed by a key that this process does not have"
            raise ConfigurationError(reasons.SECRET_UNSEALABLE, detail)
        try:
            return key.open(bytes(row.sealed), context=self._context(row.name))
        except ConfigurationError as error:
            if error.reason is not reasons.SECRET_UNSEALABLE:
                raise
            raise ConfigurationError(reasons.SECRET_UNSEALABLE, f"{self.where(row.name)}: {error.detail}") from None

    def _write(self, name: str, data: bytes, *, over: SealedSecret | None) -> bool:
        """Write where nothing lies, or over exactly that version; tell whether it was done."""
        using, row = self._alias(), self._sealed(name, data)
        try:
            with transaction.atomic(using=using, durable=True):
                return _first(SealedSecret.objects.using(using), row) if over is None else _next(using, row, over)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _SERIALIZATION_FAILURE:
                raise
            return False  # a database that isolates more strictly than it must says so of a race that was lost

    def _overwrite(self, name: str, data: bytes) -> bool:
        using = self._alias()
        with transaction.atomic(using=using, durable=True):
            rows = SealedSecret.objects.using(using).filter(environment=self._environment, name=name)
            return bool(rows.update(version=F("version") + 1, **_written(self._sealed(name, data))))

    def _sealed(self, name: str, data: bytes) -> SealedSecret:
        return SealedSecret(
            environment=self._environment,
            name=name,
            version=1,
            sealing_key=self._key.name,
            sealed=self._key.seal(data, context=self._context(name)),
            updated_at=self._clock(),
        )

    def _context(self, name: str) -> bytes:
        return f"{self._environment.value}\x00{name}".encode()

    def _alias(self) -> str:
        return self._using or router.db_for_write(SealedSecret)

    def _asked(self, name: str, work: Callable[[], _T]) -> _T:
        """Run `work`, in a thread where an event loop would be in its way, and say in our words what failed."""
        with _silence(self.where(name)):
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return work()
            with ThreadPoolExecutor(max_workers=1) as aside:
                return aside.submit(self._and_close, work).result()

    def _and_close(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        finally:
            connections[self._alias()].close()


def _first(rows: QuerySet[SealedSecret], row: SealedSecret) -> bool:
    # Who is first is decided by the unique row, and never by the read that came before.
    rows.bulk_create([row], ignore_conflicts=True)
    written = rows.filter(environment=row.environment, name=row.name).values_list("version", "sealed").first()
    return written is not None and (written[0], bytes(written[1])) == (row.version, row.sealed)


def _next(using: str, row: SealedSecret, over: SealedSecret) -> bool:
    rows = SealedSecret.objects.using(using).filter(environment=row.environment, name=row.name)
    return bool(rows.filter(version=over.version).update(version=over.version + 1, **_written(row)))


def _written(row: SealedSecret) -> dict[str, object]:
    return {"sealing_key": row.sealing_key, "sealed": row.sealed, "updated_at": row.updated_at}


@contextmanager
def _silence(where: str) -> Iterator[None]:
    try:
        yield
    except Error as error:
        cause = type(error).__name__
        refusal = VerificationFailed(store_reasons.DATABASE_UNAVAILABLE, f"{where}: {cause}")
        raise StorageSilent(where, cause, refusal) from error
    except VerificationFailed as refusal:  # a token that does not answer
        raise StorageSilent(where, refusal.detail, refusal) from None


def _pause() -> None:
    time.sleep(secrets.randbelow(_PAUSE_MS) / 1000)
