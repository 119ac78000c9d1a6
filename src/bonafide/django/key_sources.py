"""The keys of this service as gate and enrolment ask for them: one set for each app, in files or in the database.

Rule of this file: a gate takes a signing key only from the app whose attestations it signs; which apps there
are comes with every question, because the console may add one at any time.
"""

from __future__ import annotations

import hmac
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bonafide.django import signals
from bonafide.django.sealed_secrets import SealedSecrets
from bonafide.django.setting_forms import KeyPlace, SealingKeyFile
from bonafide.errors import ConfigurationError, VerificationFailed
from bonafide.keys import KeyRing, PublishedKey
from bonafide.reasons import configuration
from bonafide.reasons import store as reasons
from bonafide.stores.key_rings import AppKeys, ChallengeKeys, ServiceKeys
from bonafide.stores.key_storage_files import PrivateFileStorage
from bonafide.stores.sealing_keys.key_file import FileSealingKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from bonafide.appraisal import App
    from bonafide.challenge import ChallengeKey
    from bonafide.django.conf import Settings
    from bonafide.django.setting_forms import SealingKeyAddress
    from bonafide.keys import ScheduledKey, ServiceKey, ServiceRing
    from bonafide.stores.key_storage import KeyStorage
    from bonafide.stores.sealing_keys.pkcs11_token import Pkcs11SealingKey

logger: Final = logging.getLogger("bonafide.keys")


class KeySources:
    """All keys of one environment: `enrolment.ServiceKeys`, and the source of `app_keys` for a gate.

    Nothing is read or written before it is asked for. Raises `ConfigurationError` (`configuration.keys_unsafe`,
    `configuration.secret_unsealable`, `configuration.sealing_key_unusable`) when it is, and `VerificationFailed`
    (`store.database_unavailable`, `store.sealing_key_unavailable`) where there are no keys to go on with.
    """

    def __init__(self, settings: Settings) -> None:
        """Name the storage."""
        self._settings = settings
        self._storage = storage_of(settings)
        self._service = ServiceKeys(self._storage)
        self._challenge = ChallengeKeys(self._storage)
        self._apps: dict[tuple[str, str], AppKeys] = {}
        self._audiences: dict[str, str] = {}

    def serve(self, apps: Iterable[App]) -> None:
        """Take note of the apps and their audiences: each audience has gate keys of its own."""
        self.serve_audiences({app.name: app.audience for app in apps})

    def serve_audiences(self, audiences: Mapping[str, str]) -> None:
        """As `serve`, for audiences by the names of apps."""
        self._audiences.update(audiences)

    def of(self, app: str) -> AppKeys:
        """Return the keys of one app; the same object while its audience stays the same."""
        audience = self._audiences.get(app, self._settings.audience)
        keys = self._apps.get((app, audience))
        if keys is None:
            audiences = {audience, self._settings.audience}
            made = AppKeys(self._storage, app=app, audiences=audiences, rotated=self._tell)
            keys = self._apps.setdefault((app, audience), made)
        return keys

    def replace(self, app: str, now: datetime) -> KeyRing:
        """Forget every key of an app, and return new ones. See `AppKeys.replace`."""
        ring = self.of(app).replace(now)
        self._tell(app, ring.signing, now, compromised=True)
        return ring

    def _tell(self, app: str, signing: tuple[ScheduledKey, ...], now: datetime, *, compromised: bool = False) -> None:
        ring = KeyRing(signing=signing, gate=())
        signals.send_now(
            signals.keys_rotated,
            app=app,
            environment=str(self._settings.environment),
            signs=ring.signing_key(now).kid,
            next=next((each.key.kid for each in signing if each.signs_from > now), None),
            compromised=compromised,
        )

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
        """Return the key of the challenges, made on the first run, which all hosts share."""
        return self._challenge.current()

    def ramp_key(self) -> bytes:
        """Return the key of rehearsals' buckets, 32 octets, which gates are told: the same on all hosts."""
        return hmac.digest(self._challenge.current().secret, b"bonafide ramp", "sha256")


class GateKeys:
    """The keys that a gate of these apps verifies with (`admission.Keys`)."""

    def __init__(self, sources: KeySources, apps: frozenset[str]) -> None:
        """Take the apps that are admitted."""
        self._keys = {app: sources.of(app) for app in sorted(apps)}

    def find(self, kid: str, now: datetime) -> PublishedKey | None:
        """Return the published signing key of this id and the app that it signs for, or None.

        Raises `VerificationFailed` (`store.copy_stale`) where keys have become unreadable.
        """
        with _unreadable_refuses():
            for app, keys in self._keys.items():
                key = keys.find(kid, now)
                if key is not None:
                    return PublishedKey(app=app, key=key)
        return None

    def secret(self, kid: str, now: datetime) -> bytes | None:
        """Return the gate key of this id while tokens may name it, else None. Raises as `find`."""
        with _unreadable_refuses():
            secrets_found = (keys.secret(kid, now) for keys in self._keys.values())
            return next((secret for secret in secrets_found if secret is not None), None)


@contextmanager
def _unreadable_refuses() -> Iterator[None]:
    """A key that breaks while we serve refuses requests; it must not answer them with a trace."""
    try:
        yield
    except ConfigurationError as error:
        logger.critical("keys cannot be read: %s", error.detail)
        raise VerificationFailed(reasons.COPY_STALE, "keys") from None


def storage_of(settings: Settings) -> KeyStorage:
    """Return where the settings keep keys. Nothing is opened yet."""
    if settings.key_storage is KeyPlace.FILES:
        return PrivateFileStorage(settings.keys_dir, settings.environment)
    return sealed_secrets_of(settings)


def sealed_secrets_of(settings: Settings) -> SealedSecrets:
    """Return the sealed documents of the environment.

    Raises `ConfigurationError` (`configuration.setting_malformed`) where keys do not lie in the database.
    """
    if settings.sealing_key is None:
        raise ConfigurationError(configuration.SETTING_MALFORMED, 'KEY_STORAGE is not "database"')
    others = [sealing_key_at(address) for address in settings.other_sealing_keys]
    return SealedSecrets(settings.environment, sealing_key_at(settings.sealing_key), others=others)


def sealing_key_at(address: SealingKeyAddress) -> FileSealingKey | Pkcs11SealingKey:
    """Return the sealing key that a setting names. Nothing is opened yet.

    Raises `ConfigurationError` (`configuration.sealing_key_unusable`) for a token where python-pkcs11 is missing.
    """
    if isinstance(address, SealingKeyFile):
        return FileSealingKey(address.file)
    try:
        from bonafide.stores.sealing_keys.pkcs11_token import Pkcs11SealingKey  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigurationError(
            configuration.SEALING_KEY_UNUSABLE, "python-pkcs11 is missing: pip install 'bonafide[pkcs11]'"
        ) from None
    return Pkcs11SealingKey(module=address.module, token=address.token, label=address.label, pin_file=address.pin_file)
