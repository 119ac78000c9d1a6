"""The home directory of a control plane that runs by itself: what lies in it, and its first start.

    service.toml   what the operator says        db.sqlite3   rows, unless they are on PostgreSQL
    secret.key     signs console logins          keys/        signing, service and gate keys
    replay/        the default replay store

Everything is 0700 or 0600, and any number of processes may start for the first time at once: whoever holds the
directory's lock makes what is missing, and nothing that is there is ever replaced.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bonafide.codec import base64url
from bonafide.django import conf
from bonafide.django.service import service_file
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores import private_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bonafide.django.service.service_file import ServiceFile

VARIABLE: Final = "BONAFIDE_HOME"
DEFAULT: Final = "bonafide-home"

_SECRET_BYTES: Final = 48

_TEMPLATE: Final = """\
# The control plane's settings. The set of keys is closed: an unknown one does not start.
# What is commented out is the default. After a change: restart. Then `bonafide check`.

# Which deployment this is: "production", "staging", "development" or "test". Keys, instances and bans of one
# environment mean nothing in another.
environment = {environment}

# The public origins of the API, as apps reach it. Host picks one of them and never makes one.
origins = {origins}

# issuer = {first}                  # the `iss` of client attestations: the first of origins
# audience = {first}                # their `aud`: the first of origins

listen = {listen}                   # apps and gates, through your proxy; or "unix:/run/bonafide/service.sock"
console_listen = {console_listen}   # the operator's: console, /metrics, /readyz in detail
# console_origins = ["https://console.example.com"]   # where a proxy of your own shows the console
# prefix = "/bonafide/v1"
# workers = 2
# threads = 4                       # requests that one worker works on at once
# stop_within = 30                  # seconds for requests in flight after SIGTERM

# database = "sqlite"               # or "postgresql://bonafide@db.example.com/bonafide?passfile=/etc/bonafide/pgpass"
# keys_dir = "keys"                 # relative to this directory
# key_storage = "files"             # or "database": several hosts share keys, sealed by
# sealing_key = {{ file = "/etc/bonafide/sealing.key" }}    # `bonafide keys make-sealing-key`; or a key in an HSM
# replay_store = "lmdb:replay"      # likewise

# Peers whose X-Forwarded-For names the client, for limits only. A unix socket's peer counts as one of them.
trusted_proxies = ["127.0.0.1/32", "::1/128"]

# evidence_environments = ["production"]   # "development" admits builds that Xcode runs; TestFlight is production
# client_attestation_lifetime = 300 # seconds
# reattest_after = 86400            # seconds
# evidence_retention = 7776000      # seconds, or "digest"
# refusal_retention = 2592000       # seconds
# enrolments_per_second = 50        # per app
# network_limits = {{ challenge = 600, instances = 300, renewals = 1200 }}   # per minute and client network
# revocations_every = 5             # seconds
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the first start writes into `service.toml`; later starts read the file."""

    environment: str = "development"
    origins: Sequence[str] = ("http://127.0.0.1:8600",)
    listen: str = "127.0.0.1:8600"
    console_listen: str = "127.0.0.1:8602"

    def toml(self) -> str:
        """Return the file. Every value is written as a JSON string, which is a TOML string too."""
        quoted = {name: _quote(getattr(self, name)) for name in ("environment", "listen", "console_listen")}
        origins = ", ".join(_quote(origin) for origin in self.origins)
        first = _quote(self.origins[0]) if self.origins else '""'
        return _TEMPLATE.format(origins=f"[{origins}]", first=first, **quoted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A home that is there, and what its `service.toml` says."""

    path: Path
    says: ServiceFile

    @property
    def database(self) -> Path:
        """Where SQLite's file is."""
        return self.path / "db.sqlite3"

    def secret(self) -> str:
        """Return the key of console logins. Raises `ConfigurationError` (`configuration.keys_unsafe`)."""
        with _refusing(self.path):
            octets = private_files.read(self.path / "secret.key")
        text = "" if octets is None else octets.decode("ascii", "replace").strip()
        if len(text) < _SECRET_BYTES:
            raise ConfigurationError(reasons.KEYS_UNSAFE, f"{self.path / 'secret.key'} is missing or short")
        return text

    def bonafide(self) -> dict[str, object]:
        """Return the dict `BONAFIDE` of this home: the shared keys, with paths that begin here."""
        settings = {name.upper(): value for name, value in self.says.shared.items()}
        settings["KEYS_DIR"] = _beside(self.path, settings.get("KEYS_DIR", "keys"))
        store = settings.get("REPLAY_STORE", "lmdb:replay")
        if isinstance(store, str) and store.startswith("lmdb:"):
            store = f"lmdb:{_beside(self.path, store.removeprefix('lmdb:'))}"
        settings["REPLAY_STORE"] = store
        anchors = settings.get("UNSAFE_TEST_ANCHORS")
        if isinstance(anchors, list):
            settings["UNSAFE_TEST_ANCHORS"] = [_beside(self.path, anchor) for anchor in anchors]
        settings["PROCESSES"] = self.says.workers
        return settings


def locate(option: str | None, environ: Mapping[str, str]) -> Path:
    """Return where the home is: what the option says, else the environment, else `./bonafide-home`."""
    return Path(option or environ.get(VARIABLE) or DEFAULT).absolute()


def read(path: Path) -> Home:
    """Read a home that is there.

    Raises `ConfigurationError`: `configuration.setting_malformed` where there is none or its file is malformed,
    `configuration.keys_unsafe` where others may enter it or read the file.
    """
    if not path.is_dir():
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"there is no home at {path}: `bonafide serve` makes one")
    with _refusing(path):
        private_files.own_directory(path)
        written = private_files.read(path / service_file.NAME)
    if written is None:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{path} has no {service_file.NAME}")
    try:
        toml = written.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{service_file.NAME} is no UTF-8") from None
    return Home(path=path, says=service_file.parse(toml))


def make(path: Path, draft: Draft) -> tuple[Home, bool]:
    """Make what is missing of a home, and tell whether its `service.toml` was made now.

    Raises as `read`; nothing is written where `draft` does not parse, or where no service could start with it: what
    was written once is not written again, and whoever corrects the command would be told to edit a file.
    """
    toml = draft.toml()
    says = service_file.parse(toml)
    if not (path / service_file.NAME).exists():
        _require_startable(Home(path=path, says=says))
    with _refusing(path):
        private_files.own_directory(path)
        with private_files.exclusively(path):
            private_files.remove_unfinished(path)
            secret = base64url.encode(secrets.token_bytes(_SECRET_BYTES))
            private_files.create(path / "secret.key", secret.encode())
            made = private_files.create(path / service_file.NAME, toml.encode())
    return read(path), made


def _require_startable(home: Home) -> None:
    """Raise `ConfigurationError` where the settings, or a system check of them, would end the first start."""
    settings = conf.parse(home.bonafide(), base_dir=home.path)
    if settings.plain_in_production:
        detail = f"bonafide.E004: production has an origin without TLS: {settings.plain_in_production[0]}"
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{detail}. Say --origin https://…, which clients use")


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """What the file system refuses is a configuration that cannot be run."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(reasons.KEYS_UNSAFE, f"{path}: {os.strerror(error.errno or 0)}") from None


def _quote(text: str) -> str:
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    return f"\\u{ord(letter):04x}" if letter in '"\\' or not letter.isprintable() else letter


def _beside(home: Path, place: object) -> object:
    """Begin a relative path at the home. What is no path is left to `conf`, which refuses it by its name."""
    return str(home / place) if isinstance(place, str) and place else place
