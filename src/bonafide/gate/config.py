"""A gate's one TOML file: a closed set of keys, read into values that cannot hold nonsense.

Rules of this file: a key that is unknown, missing or of a wrong form does not start
(`configuration.setting_malformed`). Paths are relative to the file. Secrets are in files of their own, which are not
read here.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from datetime import timedelta
from enum import StrEnum, unique
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from limits import parse as parse_rate

from bonafide.errors import ConfigurationError
from bonafide.http import Origins
from bonafide.reasons import configuration as reasons
from bonafide.routes import parse_toml
from bonafide.terms import Environment, EvidenceEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bonafide.routes import RouteTable

DEFAULT_LISTEN: Final = "unix:/run/bonafide/gate.sock"

THREADS_THAT_WAIT: Final = 4
"""How many requests a worker judges at once where it waits for stores on a network. Where nothing waits, threads only
take turns at the interpreter, and cost more than one (`python -m bench.gate interfaces`)."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_LISTEN: Final = re.compile(r"unix:(?P<path>/.+)|(?P<host>[0-9.]+|\[[0-9a-f:]+\]):(?P<port>[1-9][0-9]{0,4})")
_SERVICE: Final = re.compile(r"https?://[^/?#\s@]+(?:/[^?#\s]*)?")

T = TypeVar("T")


@unique
class BodyDigest(StrEnum):
    """Whether somebody beside the API compares the body with the covered digest."""

    CHECKED = "checked"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rates in the words of the `limits` library (`1200/minute`), None for none; `store` is where they are counted.

    `instance` counts proven requests of one instance, `user` those with one `Authorization`, `network` all
    requests of one client network. With `memory:` each worker counts for itself.
    """

    store: str = "memory:"
    instance: str | None = "1200/minute"
    network: str | None = "6000/minute"
    user: str | None = "1200/minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """One API behind the gate. `key_file` holds the 32 octets (base64url) that gate and API share.

    `unchecked_bodies` admits requests with bodies although nobody compares their digest. `seals` says that beside the
    API something of Bonafide seals answers with the keys that the gate hands on.
    """

    name: str
    origins: tuple[str, ...]
    routes_file: Path
    routes: RouteTable = field(repr=False)
    key_file: Path
    body: BodyDigest
    unchecked_bodies: bool = False
    seals: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """What one gate is. Each field is the key of the same name; times are in seconds in the file."""

    name: str
    service: str
    issuer: str
    audience: str
    apps: frozenset[str]
    service_keys: frozenset[str]
    upstreams: tuple[Upstream, ...]
    key_file: Path = Path("gate.key")
    listen: str = DEFAULT_LISTEN
    workers: int = 2
    threads: int = 1
    state_dir: Path = Path("state")
    environment: Environment = Environment.PRODUCTION
    evidence_environments: frozenset[EvidenceEnvironment] = frozenset([EvidenceEnvironment.PRODUCTION])
    replay_store: str = ""
    hosts: int = 1
    store_timeout: timedelta = timedelta(milliseconds=500)
    poll_every: timedelta = timedelta(seconds=3)
    max_stale: timedelta = timedelta(minutes=10)
    limits: Limits = Limits()

    @property
    def socket(self) -> Path | None:
        """The Unix socket to listen on, or None where it is an address."""
        return Path(self.listen.removeprefix("unix:")) if self.listen.startswith("unix:") else None

    @property
    def address(self) -> tuple[str, int]:
        """The address to listen on, where it is not a Unix socket."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def read_file(path: Path) -> str:
    """Return a file's text.

    Raises `ConfigurationError` (`configuration.setting_malformed`) where it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{path}: {type(error).__name__}") from None


def load(path: Path) -> GateConfig:
    """Read the file at `path`. Raises as `parse`."""
    return parse(read_file(path), base=path.resolve().parent)


def parse(text: str, *, base: Path, read: Callable[[Path], str] = read_file) -> GateConfig:
    """Read a gate's TOML. `base` is where relative paths begin; `read` brings route tables.

    Raises `ConfigurationError`: `configuration.setting_malformed`, `configuration.origin_*`, `configuration.route_*`,
    `configuration.upstream_not_sealing`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"not TOML: {error}") from None
    upstreams, limits = document.pop("upstream", []), document.pop("limits", {})
    values = _read_keys(document, KEYS, "the gate's file")
    values["limits"] = Limits(**_read_keys(limits, LIMITS, "[limits]"))
    values["upstreams"] = _upstreams(upstreams, base, read)
    values["key_file"] = base / values.get("key_file", "gate.key")
    values["state_dir"] = base / values.get("state_dir", "state")
    values.setdefault("replay_store", f"lmdb:{values['state_dir'] / 'replay'}")
    stores = (values["replay_store"], values["limits"].store)
    waits = not all(store.startswith(("lmdb:", "memory:")) for store in stores)
    values.setdefault("threads", THREADS_THAT_WAIT if waits else 1)
    missing = [
        entry.name
        for entry in fields(GateConfig)
        if entry.name not in values and entry.default is MISSING and entry.default_factory is MISSING
    ]
    if missing:
        _refuse(f"{missing[0]} is missing")
    return _refuse_contradictions(GateConfig(**values))


def _refuse_contradictions(config: GateConfig) -> GateConfig:
    if config.environment is Environment.PRODUCTION and EvidenceEnvironment.DEBUG in config.evidence_environments:
        raise ConfigurationError(reasons.TEST_TRUST, "evidence_environments has debug in production")
    if config.poll_every * 2 > config.max_stale:
        _refuse("max_stale is less than two looks at the service")
    return config


def _upstreams(entries: object, base: Path, read: Callable[[Path], str]) -> tuple[Upstream, ...]:
    if not isinstance(entries, list) or not entries:
        _refuse("there is no [[upstream]]")
    upstreams = []
    for entry in entries:
        values = _read_keys(entry, UPSTREAM, "[[upstream]]")
        missing = sorted({"name", "origins", "routes", "key_file", "body"} - values.keys())
        if missing:
            _refuse(f"[[upstream]] {missing[0]} is missing")
        routes_file = base / values.pop("routes")
        values["key_file"] = base / values["key_file"]
        upstream = Upstream(routes_file=routes_file, routes=parse_toml(read(routes_file)), **values)
        upstreams.append(_refuse_unsealed(upstream))
    if len({upstream.name for upstream in upstreams}) < len(upstreams):
        _refuse("two upstreams have one name")
    Origins(origin for upstream in upstreams for origin in upstream.origins)
    return tuple(upstreams)


def _refuse_unsealed(upstream: Upstream) -> Upstream:
    """Refuse what would read as sealed and be answered in clear."""
    if upstream.seals and upstream.body is BodyDigest.UNCHECKED:
        _refuse(f'upstream {upstream.name}: seals = true and body = "unchecked": nothing beside that API would seal')
    sealed = [route.match for route in upstream.routes if route.seal]
    if sealed and not upstream.seals:
        raise ConfigurationError(reasons.UPSTREAM_NOT_SEALING, f"upstream {upstream.name}: {', '.join(sealed)}")
    return upstream


def _read_keys(document: object, forms: Mapping[str, Callable[[Any], object]], where: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        _refuse(f"{where} is not a table")
    unknown = sorted(document.keys() - forms.keys())
    if unknown:
        _refuse(f"{where} has no key {unknown[0]}")
    values: dict[str, Any] = {}
    for name, value in document.items():
        try:
            values[name] = forms[name](value)
        except (TypeError, ValueError, OverflowError):
            # The value stays out: a misplaced secret would otherwise end in a log.
            _refuse(f"{where}: {name} is not what it must be")
    return values


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError(reasons.SETTING_MALFORMED, why)


def _of(kind: type[T]) -> Callable[[object], T]:
    def form(value: object) -> T:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise TypeError
        return value

    return form


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str]:
    def form(value: object) -> str:
        if pattern.fullmatch(_of(str)(value)) is None:
            raise ValueError
        return str(value)

    return form


def _text(value: object) -> str:
    if not _of(str)(value).strip():
        raise ValueError
    return str(value)


def _listed(form: Callable[[object], T]) -> Callable[[object], tuple[T, ...]]:
    def read(value: object) -> tuple[T, ...]:
        entries = tuple(form(entry) for entry in _of(list)(value))
        if not entries or len(set(entries)) < len(entries):
            raise ValueError
        return entries

    return read


def _whole(least: int, most: int) -> Callable[[object], int]:
    def form(value: object) -> int:
        if not least <= _of(int)(value) <= most:
            raise ValueError
        return int(str(value))

    return form


def _seconds(least: float, most: float) -> Callable[[object], timedelta]:
    def form(value: object) -> timedelta:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError
        return timedelta(seconds=value)

    return form


def _rate(value: object) -> str | None:
    if value is False:
        return None
    parse_rate(_text(value))
    return str(value)


KEYS: Final[Mapping[str, Callable[[Any], object]]] = {
    "name": _matching(_NAME),
    "listen": _matching(_LISTEN),
    "workers": _whole(1, 256),
    "threads": _whole(1, 256),
    "state_dir": _text,
    "service": _matching(_SERVICE),
    "issuer": _text,
    "audience": _text,
    "environment": Environment,
    "key_file": _text,
    "service_keys": lambda value: frozenset(_listed(_matching(_THUMBPRINT))(value)),
    "apps": lambda value: frozenset(_listed(_text)(value)),
    "evidence_environments": lambda value: frozenset(_listed(lambda entry: EvidenceEnvironment(_text(entry)))(value)),
    "replay_store": _text,
    "hosts": _whole(1, 10_000),
    "store_timeout": _seconds(0.01, 30),
    "poll_every": _seconds(0.1, 60),
    "max_stale": _seconds(1, 3600),
}
LIMITS: Final[Mapping[str, Callable[[Any], object]]] = {
    "store": _text,
    "instance": _rate,
    "network": _rate,
    "user": _rate,
}
UPSTREAM: Final[Mapping[str, Callable[[Any], object]]] = {
    "name": _matching(_NAME),
    "origins": _listed(_text),
    "routes": _text,
    "key_file": _text,
    "body": BodyDigest,
    "unchecked_bodies": _of(bool),
    "seals": _of(bool),
}
