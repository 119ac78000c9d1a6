"""How fast an instance, a user and a network may come: counted by the `limits` library, here or in Redis.

Nginx's own `limit_req` acts before a gate is asked, and cannot know an instance. A rate is no proof of anything; where
the counters cannot be reached, requests are refused like where the replay store cannot.
"""

from __future__ import annotations

import logging
import math
import time
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from limits import parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from limits import RateLimitItem

    from bonafide.gate.config import Limits

_log: Final = logging.getLogger("bonafide.gate.rates")


class RatesUnavailable(Exception):
    """The counters do not answer."""


class Rates:
    """The limits of one gate, in windows that begin on the clock's own minutes and seconds."""

    def __init__(self, limits: Limits, *, timeout: timedelta) -> None:
        """Open the counters. Raises `ConfigurationError` (`configuration.setting_malformed`)."""
        seconds = timeout.total_seconds()
        options = {} if limits.store == "memory:" else {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        uri = "memory://" if limits.store == "memory:" else limits.store
        try:
            storage = storage_from_string(uri, wrap_exceptions=True, **options)
        except Exception as error:  # noqa: BLE001 - each storage has classes of its own
            raise ConfigurationError(reasons.SETTING_MALFORMED, f"[limits] store: {type(error).__name__}") from None
        self._limiter = FixedWindowRateLimiter(storage)
        self._instance = _item(limits.instance)
        self._network = _item(limits.network)
        self._user = _item(limits.user)
        self._failing = False

    def network(self, network: str) -> timedelta | None:
        """Count a request of a client network; return how long to wait where that was one too many."""
        return self._hit(self._network, "network", network)

    def instance(self, instance: str) -> timedelta | None:
        """Count a proven request of an instance."""
        return self._hit(self._instance, "instance", instance)

    def user(self, credential: str) -> timedelta | None:
        """Count a proven request under one `Authorization`, which is kept as a digest."""
        if self._user is None:
            return None
        return self._hit(self._user, "user", sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()[:32])

    def _hit(self, item: RateLimitItem | None, kind: str, who: str) -> timedelta | None:
        if item is None:
            return None
        try:
            if self._limiter.hit(item, kind, who):
                self._failing = False
                return None
            ends = self._limiter.get_window_stats(item, kind, who).reset_time
        except StorageError as problem:
            if not self._failing:
                _log.error("the counters of rates do not answer: %s", type(problem).__name__)
            self._failing = True
            raise RatesUnavailable from None
        return timedelta(seconds=max(1, math.ceil(ends - time.time())))


def _item(rate: str | None) -> RateLimitItem | None:
    return None if rate is None else parse(rate)
