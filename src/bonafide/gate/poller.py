"""How the service's word reaches the workers of a gate: one of them asks, all of them read its answer from disk.

    <state_dir>/state       the last answer that brought a state, as it came: sealed to the gate's key
    <state_dir>/confirmed   the last answer that said that this state still holds

Each worker looks every half second. Whoever finds the last word due takes the lock and asks; the others
go on. A worker that starts anew has what the others have, also while the service is away.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import httpx

from bonafide.errors import BonafideError, ConfigurationError, MalformedEvidence
from bonafide.provision import MAX_ANSWER_BYTES, Answer, issue_ask, open_answer
from bonafide.reasons import configuration as reasons
from bonafide.reasons import provision as provision_reasons
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import ec

    from bonafide.gate.config import GateConfig
    from bonafide.gate.provisioned import Provisioned

LOOK_EVERY_S: Final = 0.5
ASK_TIMEOUT_S: Final = 5.0
UNKNOWN_KEY_EVERY_S: Final = 10.0
"""An unknown key id makes a gate ask at once, but no sooner than this after the last time."""

_log: Final = logging.getLogger("bonafide.gate.poller")


class Poller:
    """One worker's part. `run` belongs to a thread of its own; `look` is one turn of it."""

    def __init__(self, config: GateConfig, key: ec.EllipticCurvePrivateKey) -> None:
        """Name the files; nothing is read or asked yet."""
        self._config = config
        self._key = key
        self._state: Final[Path] = config.state_dir / "state"
        self._confirmed: Final[Path] = config.state_dir / "confirmed"
        self._lock: Final[Path] = config.state_dir / "asking.lock"
        self._seen: dict[Path, tuple[int, int]] = {}
        self._client: httpx.Client | None = None
        self._wake = threading.Event()
        self._hurry = False
        self._hurried_at = -math.inf
        self._failing = False
        self._asked_at = -math.inf

    def hurry(self) -> None:
        """Ask soon, because a key is unknown; at most once in 10 s. Called by the threads that serve."""
        now = time.monotonic()
        if now - self._hurried_at >= UNKNOWN_KEY_EVERY_S:
            self._hurried_at = now
            self._hurry = True
            self._wake.set()

    def run(self, provisioned: Provisioned) -> None:
        """Look for ever."""
        while True:
            try:
                self.look(provisioned)
            except Exception:  # noqa: BLE001 - a thread that ended would leave this worker without news
                _log.exception("looking for the service's word failed")  # the last word stands until it is stale
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def look(self, provisioned: Provisioned) -> None:
        """Take what others were told; ask where that is due and nobody does."""
        self._read_files(provisioned)
        every = self._config.poll_every.total_seconds()
        moment = time.monotonic()
        due = not 0 <= time.time() - provisioned.confirmed_at < every
        # By a service whose clock is behind, its word is always due: that is no reason to ask at each look.
        if not self._hurry and not (due and moment - self._asked_at >= every):
            return
        with self._alone() as alone:
            if alone:
                self._hurry = False
                self._asked_at = moment
                self._read_files(provisioned)  # who held the lock before may have been told just now
                self._ask(provisioned)

    def _ask(self, provisioned: Provisioned) -> None:
        config = self._config
        have = provisioned.tag
        ask, ask_id = issue_ask(
            gate=config.name,
            key=self._key,
            issuer=config.issuer,
            environment=config.environment,
            have=have,
            now=datetime.now(UTC),
            random=os.urandom,
        )
        try:
            text = self._fetch(ask)
            answer = self._open(text, ask_id)
        except (httpx.HTTPError, BonafideError) as problem:
            self._log_once(problem)
            return
        self._failing = False
        provisioned.take(answer, asked=True)
        path = self._confirmed if answer.state is None else self._state
        private_files.remove_unfinished(path.parent, of=path.name)  # who asks is the only one who writes it
        private_files.replace(path, text.encode("ascii"))
        self._seen[path] = _place(path) or (0, 0)

    def _fetch(self, ask: str) -> str:
        if self._client is None:
            self._client = httpx.Client(timeout=ASK_TIMEOUT_S, trust_env=False, follow_redirects=False)
        headers = {"Authorization": f"Bonafide-Gate {ask}", "Accept-Encoding": "identity"}
        body = bytearray()
        with self._client.stream("GET", f"{self._config.service.rstrip('/')}/gate", headers=headers) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise MalformedEvidence(provision_reasons.ANSWER_MALFORMED, "too long")
        return body.decode("ascii", "replace")

    def _open(self, text: str, ask_id: str | None) -> Answer:
        config = self._config
        return open_answer(
            text,
            key=self._key,
            pinned=config.service_keys,
            gate=config.name,
            environment=config.environment,
            audience=config.audience,
            ask_id=ask_id,
        )

    def _read_files(self, provisioned: Provisioned) -> None:
        for path in (self._state, self._confirmed):
            place = _place(path)
            if place is None or self._seen.get(path) == place:
                continue
            self._seen[path] = place
            try:
                data = private_files.read(path, max_bytes=MAX_ANSWER_BYTES)
                if data is not None:
                    provisioned.take(self._open(data.decode("ascii", "replace"), None))
            except (OSError, BonafideError) as problem:
                self._log_once(problem)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _log_once(self, problem: Exception) -> None:
        if not self._failing:
            what = f"{problem.reason.code} {problem.detail}" if isinstance(problem, BonafideError) else repr(problem)
            _log.error("the service at %s gives no word: %s", self._config.service, what)
        self._failing = True


def own_state(config: GateConfig) -> None:
    """Make the state directory, 0700. Raises `ConfigurationError` (`configuration.keys_unsafe`)."""
    try:
        private_files.own_directory(config.state_dir)
    except OSError as error:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{config.state_dir}: {error.strerror}") from None


def _place(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
