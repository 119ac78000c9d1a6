"""What somebody must do now and then while the service runs: erase what is due, and say aloud that glass is broken.

One thread, in the operator's process of each host. Several hosts doing the same harm nobody: each act is
idempotent, and a database that does not answer is asked again later.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db import close_old_connections, router
from django.utils import timezone

from bonafide.django import conf, openings
from bonafide.django.documents import pins
from bonafide.django.key_sources import KeySources
from bonafide.django.models import Opening
from bonafide.django.retention import purge
from bonafide.errors import BonafideError

if TYPE_CHECKING:
    from collections.abc import Callable

logger: Final = logging.getLogger("bonafide.caretaker")

EVERY_S: Final = 10.0
"""Far below what is told once a minute: a round that came a moment too early would be made up for a minute later."""

PURGE_EVERY_S: Final = 3600.0
PINS_EVERY_S: Final = 24 * 3600.0


class Caretaker:
    """What is due when. `clock` counts seconds and never goes back."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with everything due."""
        self._clock = clock
        self._purged: float | None = None
        self._pins_told: float | None = None
        self._alarm = openings.Alarm(monotonic=clock)

    def round(self) -> None:
        """Do what is due now."""
        self._sound_alarm()
        self._tell_pins()
        if self._purged is None or self._clock() - self._purged >= PURGE_EVERY_S:
            try:
                purge(timezone.now(), refusal_retention=conf.current().refusal_retention)
            except DatabaseError as error:
                logger.error("what is due was not erased: %s", type(error).__name__)  # noqa: TRY400 - rows are in the trace
            else:
                self._purged = self._clock()

    def _tell_pins(self) -> None:
        """Say once a day which pins end soon: apps that hold them refuse a host whose key has changed."""
        if self._pins_told is not None and self._clock() - self._pins_told < PINS_EVERY_S:
            return
        now = timezone.now()
        try:
            due = pins.due(conf.current().environment, now)
        except DatabaseError as error:
            logger.error("whether pins end is unknown: %s", type(error).__name__)  # noqa: TRY400 - as above
            return
        self._pins_told = self._clock()
        for ending in due:
            logger.warning("%s: publish again (docs/how-to/pins.md)", ending.words(now))

    def _sound_alarm(self) -> None:
        """Say that glass is broken. A row that the service key did not sign is told as what it is."""
        settings, now = conf.current(), timezone.now()
        try:
            tokens = openings.read_tokens(settings.environment, now, router.db_for_read(Opening)).value
            if tokens:
                pinned = KeySources(settings).service_ring().thumbprints
                self._alarm.tell(openings.verify(tokens, settings, pinned), now)
        except (DatabaseError, BonafideError) as error:
            logger.error("whether glass is broken is unknown: %s", type(error).__name__)  # noqa: TRY400 - as below


def start() -> None:
    """Make rounds in this process from now on."""
    threading.Thread(target=_rounds, name="bonafide-caretaker", daemon=True).start()


def _rounds() -> None:
    caretaker, pause = Caretaker(), threading.Event()
    while not pause.wait(EVERY_S):
        caretaker.round()
        close_old_connections()  # no request ends on this thread, so nobody else does
