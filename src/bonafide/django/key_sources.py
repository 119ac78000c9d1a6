"""The keys of this service as gate and enrolment ask for them: one set of files for each app.

Rule of this file: a gate takes a signing key only from the app whose attestations it signs; which apps there
are comes with every question, because the console may add one at any time.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bonafide.challenge import KEY_BYTES, ChallengeKey
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.keys import PublishedKey
from bonafide.reasons import configuration
from bonafide.reasons import store as reasons
from bonafide.stores import private_files
from bonafide.stores.key_files import KeyFiles, ServiceKeyFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from bonafide.appraisal import App
    from bonafide.django.conf import Settings
    from bonafide.keys import KeyRing, ServiceKey, ServiceRing

logger: Final = logging.getLogger("bonafide.keys")


class KeySources:
    """All keys of one environment: `enrolment.ServiceKeys`, and the source of `app_keys` for a gate.

    Nothing is read or written before it is asked for. Raises `ConfigurationError`
    (`configuration.keys_unsafe`) when it is.
    """

    def __init__(self, settings: Settings) -> None:
        """Name the files."""
        self._settings = settings
        self._service = ServiceKeyFile(settings.keys_dir, environment=settings.environment)
        self._files: dict[tuple[str, str], KeyFiles] = {}
        self._audiences: dict[str, str] = {}
        self._challenge: ChallengeKey | None = None

    def serve(self, apps: Iterable[App]) -> None:
        """Take note of the apps and their audiences: each audience has gate keys of its own."""
        self.serve_audiences({app.name: app.audience for app in apps})

    def serve_audiences(self, audiences: Mapping[str, str]) -> None:
        """As `serve`, for audiences by the names of apps."""
        self._audiences.update(audiences)

    def of(self, app: str) -> KeyFiles:
        """Return the files of one app; the same object while its audience stays the same."""
        audience = self._audiences.get(app, self._settings.audience)
        files = self._files.get((app, audience))
        if files is None:
            made = KeyFiles(
                self._settings.keys_dir,
                app=app,
                environment=self._settings.environment,
                audiences={audience, self._settings.audience},
            )
            files = self._files.setdefault((app, audience), made)
        return files

    def ring(self, app: str, now: datetime) -> KeyRing:
        """Return the keys of one app as they stand at `now`."""
        return self.of(app).current(now)

    def service_key(self, now: datetime) -> ServiceKey:
        """Return the key that signs sessions. It is not rotated by itself."""
        del now
        return self._service.current().key

    def service_ring(self) -> ServiceRing:
        """Return the service key and its spare's thumbprint: what an app is built with."""
        return self._service.current()

    def challenge_key(self) -> ChallengeKey:
        """Return the key of the challenges, made on the first run, in a file that all hosts share."""
        if self._challenge is None:
            self._challenge = ChallengeKey(secret=_read_or_make(self._settings.keys_dir, self._settings.environment))
        return self._challenge


class GateKeys:
    """The keys that a gate of these apps verifies with (`admission.Keys`)."""

    def __init__(self, sources: KeySources, apps: frozenset[str]) -> None:
        """Take the apps that are admitted."""
        self._files = {app: sources.of(app) for app in sorted(apps)}

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        """Return the published signing key of this id and the app that it signs for, or None.

        Raises `VerificationFailed` (`store.copy_stale`) where key files have become unreadable.
        """
        with _unreadable_refuses():
            for app, files in self._files.items():
                key = files.find(kid, now)
                if key is not None:
                    return PublishedKey(app=app, key=key)
        return None

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key of this id while tokens may name it, else None. Raises as `find`."""
        with _unreadable_refuses():
            secrets_found = (files.secret(kid, now) for files in self._files.values())
            return next((secret for secret in secrets_found if secret is not None), None)


@contextmanager
def _unreadable_refuses() -> Iterator[None]:
    """A key file that breaks while we serve refuses requests; it must not answer them with a trace."""
    try:
        yield
    except ConfigurationError as error:
        logger.critical("keys cannot be read: %s", error.detail)
        raise VerificationFailed(reasons.COPY_STALE, "key files") from None


def _read_or_make(directory: Path, environment: str) -> bytes:
    home = directory / environment
    path = home / "challenge.key"
    try:
        for level in (directory, home):
            private_files.own_directory(level)
        secret = private_files.read(path)
        if secret is None:
            private_files.create(path, secrets.token_bytes(KEY_BYTES))
            secret = private_files.read(path) or b""  # another process may have been first
    except OSError as error:
        raise ConfigurationError(configuration.KEYS_UNSAFE, f"{path}: {os.strerror(error.errno or 0)}") from None
    return secret
