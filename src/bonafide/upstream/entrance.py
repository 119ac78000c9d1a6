"""What both middlewares are made of, and how a refusal of theirs is written down.

Rules of this file: a request without a statement about it is refused whatever its route says, because it came
past the gate; what the gate let through in a rehearsal (`admitted: false`) passes. The client is told what
Django's middleware would tell it, and the precise reason stands in the log under the record that it was told.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from bonafide import statement as statements
from bonafide.codec import base64url
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.http import METHOD, Origins
from bonafide.problem import RETRY_SPREAD_S, Problem
from bonafide.reasons import configuration as configuration_reasons
from bonafide.reasons import statement as statement_reasons
from bonafide.stores.admission_keys import read_admission_keys
from bonafide.stores.body_spool import BodySpool, require_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from bonafide.errors import MalformedEvidence
    from bonafide.http import HttpRequest
    from bonafide.statement import Statement

App = TypeVar("App")

logger: Final = logging.getLogger("bonafide.upstream")

MAX_BODY_BYTES: Final = 16 * 2**20
"""The longest body of an admitted request, unless said otherwise."""

SPOOL_MEMORY_BYTES: Final = 2**20
"""How much of a body is held in memory, unless said otherwise; the rest goes to disk."""

ADMISSION: Final = "bonafide.admission"
"""Where the application finds the statement."""

_RECORD_OCTETS: Final = 16


class Entrance(Generic[App]):
    """An application, and how a gate's word about requests to it is verified. What follows is each interface's."""

    def __init__(
        self,
        app: App,
        *,
        key_files: Iterable[str | PathLike[str]],
        origins: Iterable[str],
        max_body: int = MAX_BODY_BYTES,
        spool_memory: int = SPOOL_MEMORY_BYTES,
        mount: str = "",
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Wrap `app`, and read the keys now, so that what cannot be run does not start.

        `key_files` hold the keys shared with the gate, two while one is replaced; `origins` are those of the
        gate's `[[upstream]]`; bodies of admitted requests are at most `max_body` octets, of which `spool_memory` are
        held in memory; `mount` is the path below which the server mounts the application, if it does (WSGI's
        SCRIPT_NAME, ASGI's `root_path`).

        Raises `ConfigurationError` (`configuration.keys_unsafe`, `configuration.origin_*`,
        `configuration.setting_malformed`).
        """
        if max_body < 0 or spool_memory < 0:
            raise ConfigurationError(configuration_reasons.SETTING_MALFORMED, "max_body and spool_memory are sizes")
        if mount and not mount.startswith("/"):
            raise ConfigurationError(configuration_reasons.SETTING_MALFORMED, "mount begins with a slash")
        self.app: Final = app
        self.origins: Final = Origins(origins)
        self.mount: Final = mount.rstrip("/")
        self._keys = read_admission_keys(Path(path) for path in key_files)
        self._max_body = max_body
        self._spool_memory = spool_memory
        self._clock = clock or (lambda: datetime.now(UTC))

    def verify(self, token: str, request: HttpRequest) -> Statement:
        """Verify the gate's word about this request. Raises as `bonafide.statement.verify`."""
        return statements.verify(token, keys=self._keys, request=request, now=self._clock())

    def spool(self, length: int | None) -> BodySpool:
        """Return an empty spool for a body of this announced length.

        Raises `MalformedEvidence` (`request.body_too_large`) before an octet is read, where that can be known.
        """
        require_within(length or 0, self._max_body)
        return BodySpool(memory_bytes=self._spool_memory, max_bytes=self._max_body)


def present(token: str | None) -> str:
    """Return the statement that came; without one nothing else that is odd about the request is worth telling.

    Raises `VerificationFailed` (`statement.missing`).
    """
    if token is None:
        raise VerificationFailed(statement_reasons.MISSING)
    return token


def refuse(refusal: MalformedEvidence | VerificationFailed, method: str, statement: Statement | None) -> Problem:
    """Write a refusal down, and return what the client is told. `statement` is what was verified before it."""
    reason = refusal.reason
    record = base64url.encode(secrets.token_bytes(_RECORD_OCTETS))
    sender = None if statement is None else statement.sender
    logger.warning(
        "refused reason=%s record=%s method=%s route=%s instance=%s gate_record=%s detail=%s",
        reason.code,
        record,
        method if METHOD.fullmatch(method) else "OTHER",
        "" if statement is None else statement.route,
        "" if sender is None else sender.instance,
        "" if statement is None else statement.record,
        refusal.detail,
        extra={"bonafide": {"reason": reason.code, "record": record}},
    )
    return Problem(status=reason.status, action=reason.action, record=record, jitter=secrets.randbelow(RETRY_SPREAD_S))
