"""`service.toml`: what an operator says to a control plane that runs by itself. A closed set of keys.

Rules of this file: most keys are those of `BONAFIDE` in lower case, and read by `conf` alone; the others are written
once, below, with form, default and purpose. What this file cannot mean (routes, a body spool: there is no API in
this process) is unknown here, and an unknown key does not start.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from bonafide.django import setting_forms as forms
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "service.toml"

SHARED_KEYS: Final = (
    "environment",
    "origins",
    "issuer",
    "audience",
    "keys_dir",
    "key_storage",
    "sealing_key",
    "other_sealing_keys",
    "replay_store",
    "evidence_environments",
    "unsafe_debug_evidence",
    "unsafe_test_anchors",
    "client_attestation_lifetime",
    "secrets_lifetime",
    "configuration_lifetime",
    "reattest_after",
    "evidence_retention",
    "refusal_retention",
    "enrolments_per_second",
    "network_limits",
    "trusted_proxies",
    "revocations_every",
    "records_every",
)
"""The keys of `BONAFIDE` that a control plane by itself has as well, in lower case."""

_MAX_PORT: Final = 65535
_POSTGRESQL: Final = frozenset(["postgresql", "postgres"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where a server listens: a unix socket, or an address and a port."""

    socket: Path | None = None
    address: str = ""
    port: int = 0

    @property
    def loopback(self) -> bool:
        """Tell whether only this host can reach it."""
        return self.socket is not None or ip_address(self.address).is_loopback

    @property
    def authority(self) -> str:
        """The authority of its URLs; that of a unix socket is any, and none is written."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return "" if self.socket is not None else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket is not None else f"http://{self.authority}"


def _read_listener(value: object) -> Listener:
    if not isinstance(value, str):
        raise TypeError
    if value.startswith("unix:"):
        place = Path(value.removeprefix("unix:"))
        if not place.is_absolute():
            raise ValueError
        return Listener(socket=place)
    host, colon, port = value.rpartition(":")
    address = ip_address(host.removeprefix("[").removesuffix("]"))
    if not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise ValueError
    return Listener(address=str(address), port=int(port))


def _read_prefix(value: object) -> str:
    prefix = forms.text.read(value)
    parts = prefix.split("/")
    literal = all(part and part.replace("-", "").replace("_", "").isalnum() and part.isascii() for part in parts[1:])
    if len(parts) < 2 or parts[0] or not literal:  # noqa: PLR2004 - before and after the first slash
        raise ValueError
    return prefix


def _read_database(value: object) -> Mapping[str, Any] | None:
    """Read an address of PostgreSQL; the parameters of its query are libpq's."""
    if value == "sqlite":
        return None
    url = urlsplit(forms.text.read(value))
    name = unquote(url.path.removeprefix("/"))
    if url.scheme not in _POSTGRESQL or not name or url.fragment:
        raise ValueError
    parameters = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    host = dict(parameters).pop("host", "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": host or unquote(url.hostname or ""),
        "PORT": "" if url.port is None else str(url.port),
        "OPTIONS": {key: text for key, text in parameters if key != "host"},
    }


listener: Final = forms.Form('"address:port" or "unix:" and an absolute path', _read_listener)
_prefix: Final = forms.Form("a path of letters, digits, - and _, such as /bonafide/v1", _read_prefix)
_database: Final = forms.Form('"sqlite" or "postgresql://user@host/name"', _read_database)


def _key(form: forms.Form[Any], about: str, *, shown: str) -> dict[str, object]:
    return {"form": form, "about": about, "shown": shown}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFile:
    """What the file says. `shared` goes to `conf` as it is written, under upper-case names."""

    listen: Listener = field(
        default=Listener(address="127.0.0.1", port=8600),
        metadata=_key(
            listener,
            "Where apps and gates reach the service, behind your proxy. It never has TLS of its own.",
            shown='"127.0.0.1:8600"',
        ),
    )
    console_listen: Listener = field(
        default=Listener(address="127.0.0.1", port=8602),
        metadata=_key(
            listener,
            "Where the operator reaches the console, /metrics and what exactly is not ready. No proxy of the "
            "public API may lead here.",
            shown='"127.0.0.1:8602"',
        ),
    )
    console_origins: tuple[str, ...] = field(
        default=(),
        metadata=_key(
            forms.texts,
            "Origins under which a proxy of your own, with TLS, shows the console. Without any it answers to "
            "this host's names only (ssh -L).",
            shown="[]",
        ),
    )
    prefix: str = field(
        default="/bonafide/v1",
        metadata=_key(_prefix, "The path before every endpoint of the protocol.", shown='"/bonafide/v1"'),
    )
    workers: int = field(
        default=2,
        metadata=_key(forms.whole(least=1, most=256), "Processes that serve apps and gates.", shown="2"),
    )
    threads: int = field(
        default=4,
        metadata=_key(
            forms.whole(least=1, most=256),
            "Requests that one process works on at once; on PostgreSQL also its connections.",
            shown="4",
        ),
    )
    stop_within: int = field(
        default=30,
        metadata=_key(
            forms.whole(least=1, most=3600),
            "Seconds that requests in flight have to finish after SIGTERM.",
            shown="30",
        ),
    )
    database: Mapping[str, Any] | None = field(
        default=None,
        metadata=_key(
            _database,
            'Where rows lie: "sqlite" is db.sqlite3 in the home; several hosts need PostgreSQL. Keep its password in '
            "a passfile: ?passfile=/etc/bonafide/pgpass.",
            shown='"sqlite"',
        ),
    )
    shared: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of its own, as its documentation has it."""

    name: str
    form: str
    default: str
    about: str


def own_keys() -> tuple[Key, ...]:
    """Return the keys that this file has besides `SHARED_KEYS`, in the order of the reference."""
    return tuple(
        Key(
            name=entry.name,
            form=entry.metadata["form"].words,
            default=entry.metadata["shown"],
            about=entry.metadata["about"],
        )
        for entry in fields(ServiceFile)
        if entry.name != "shared"
    )


def parse(toml: str) -> ServiceFile:
    """Read the file. Its shared keys are judged later, by `conf`.

    Raises `ConfigurationError` (`configuration.setting_malformed`); no value is shown: one of them may be a
    password.
    """
    try:
        said = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME} is no TOML") from None
    own = {entry.name: entry for entry in fields(ServiceFile) if entry.name != "shared"}
    unknown = sorted(said.keys() - own.keys() - set(SHARED_KEYS))
    if unknown:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME} has no key {unknown[0]}")
    values: dict[str, Any] = {}
    for name in own.keys() & said.keys():
        form = own[name].metadata["form"]
        try:
            values[name] = form.read(said[name])
        except (TypeError, ValueError, OverflowError):
            raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME}: {name} is {form.words}") from None
    return ServiceFile(**values, shared={name: said[name] for name in SHARED_KEYS if name in said})
