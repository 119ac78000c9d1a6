"""The facts that every proxy in front of a gate needs, each in a form that no configuration file misreads.

Rules of this file: what ends up in a proxy's configuration is compared with a closed set of characters here, so
that a name or an address from a TOML file cannot become a directive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from bonafide.errors import ConfigurationError
from bonafide.gate.config import BodyDigest
from bonafide.http import Origins
from bonafide.reasons import configuration as reasons
from bonafide.routes import Client
from bonafide.terms import ProofKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide.gate.config import GateConfig, Upstream
    from bonafide.http import Origin
    from bonafide.routes import Route, RouteTable

GATE_HEADERS: Final = ("Bonafide-Admission", "Bonafide-Status", "Bonafide-Action", "Bonafide-Record")
"""Every field of ours. A proxy that cannot delete by prefix deletes these by name before a request goes on."""

ORIGINAL_HEADERS: Final = (
    "Originalmethod",
    "Originaltarget",
    "Originalhost",
    "Originallength",
    "Originalcoding",
    "Originalupgrade",
    "Originaltrailer",
    "Originaladdress",
)
"""What a proxy tells the gate about the request in hand. No hyphen: under WSGI no other spelling reads the same."""

SERVICE_PATHS: Final = (
    "challenge",
    "instances",
    "instances/[A-Za-z0-9_-]{1,64}/renewals",
    r"jwks\.json",
    "secrets",
    "pins",
)
"""What the service serves to the public below its prefix, as regular expressions; what it tells gates is not public."""

MAX_SERVICE_BODY: Final = 64 * 1024
"""The service's own bound on its messages (PROTOCOL, first paragraph)."""

STREAMED_FROM: Final = 64 * 1024
"""Where a route takes larger bodies than this, in octets, bodies are handed on as they come.

A proxy that first gathers a body hands it on long after the gate spoke, and what the gate said is good for ten
seconds only.
"""

MARGIN: Final = timedelta(milliseconds=500)
"""What a gate may take beyond its own wait for a silent store, before a proxy gives up on it."""

_OURS: Final = frozenset(("gate", "service", "refused", "silent"))
"""What proxies' own names begin with when they are not a site's."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNIX: Final = re.compile(r"unix:(/[A-Za-z0-9._/-]{1,100})")
_INTERNET: Final = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]+\]):(?P<port>[1-9][0-9]{0,4})")
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<path>/[A-Za-z0-9._~/-]*)?")
_PORT: Final = re.compile(r":[0-9]+\Z")
_PREFIX: Final = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens on this host or near it: a unix socket's path, or a host with a port."""

    path: str = ""
    authority: str = ""
    tls: bool = False

    @property
    def scheme(self) -> str:
        """What is spoken there."""
        return "https" if self.tls else "http"

    @property
    def host(self) -> str:
        """The host without its port; empty for a socket."""
        return _PORT.sub("", self.authority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where the service listens, and the prefix below which the public reaches it, e.g. `/bonafide/v1`."""

    address: Address
    prefix: str

    def __post_init__(self) -> None:
        """Refuse a prefix that a proxy would read as more than a path."""
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                reasons.SETTING_MALFORMED, f"the service's prefix {self.prefix!r} is not a plain path"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One API behind the gate: the origins that clients call it by, and where it listens.

    `takes_bodies` is False for an API that has no middleware of ours and was not declared to go without: then
    nobody would compare a body with its digest, and none is handed on.
    """

    name: str
    origins: tuple[Origin, ...]
    backend: Address
    routes: RouteTable
    takes_bodies: bool = True

    def __post_init__(self) -> None:
        """Refuse a name that a proxy would read as more than a name."""
        if not _NAME.fullmatch(self.name):
            _refuse(f"the upstream's name {self.name!r} is not a plain name")
        if not self.origins:
            raise ConfigurationError(reasons.ORIGINS_EMPTY, self.name)

    @property
    def identifier(self) -> str:
        """The name in letters, digits and `_` alone, for the proxies' own names."""
        return re.sub(r"[^a-z0-9]", "_", self.name.lower())

    @property
    def hosts(self) -> tuple[str, ...]:
        """Each value of Host that names this site, in lower case."""
        named = [origin.authority for origin in self.origins]
        spelled_out = [
            f"{origin.authority}:{443 if origin.scheme == 'https' else 80}"
            for origin in self.origins
            if not _PORT.search(origin.authority)
        ]
        return (*named, *spelled_out)

    @property
    def server_names(self) -> tuple[str, ...]:
        """The hosts without their ports, each once."""
        return tuple(dict.fromkeys(_PORT.sub("", origin.authority) for origin in self.origins))

    @property
    def max_body(self) -> int | None:
        """The largest body that any route takes, in octets; None where one names no bound."""
        bounds = [route.max_body for route in self.routes]
        return None if None in bounds else max(bound for bound in bounds if bound is not None)

    @property
    def streams_bodies(self) -> bool:
        """Whether bodies are handed on as they come; see `STREAMED_FROM`."""
        return self.max_body is None or self.max_body > STREAMED_FROM

    @property
    def upgrading(self) -> tuple[Route, ...]:
        """The routes up to the last one that takes `Upgrade`, in order: what stands before it may shadow it."""
        routes = tuple(self.routes)
        last = max((index for index, route in enumerate(routes) if route.upgrade), default=-1)
        return routes[: last + 1]

    @property
    def takes_dpop(self) -> bool:
        """Whether any route takes DPoP proofs, whose clients read their next nonce from every answer."""
        return any(route.proof is ProofKind.DPOP for route in self.routes)

    @property
    def unproven(self) -> bool:
        """Whether any route is answered without a proof, by design or because it only observes."""
        return any(route.client is not Client.APP or route.enforced_share < 1 for route in self.routes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Everything that a proxy in front of one gate is told.

    `deadline` is how long a gate may take over its answer before the request is refused with 503.
    """

    gate: Address
    service: Service | None
    sites: tuple[Site, ...]
    deadline: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        """Refuse what would leave a proxy with nothing to guard, or with one name for two things."""
        names = [site.identifier for site in self.sites]
        if not names or len(set(names)) != len(names) or not _OURS.isdisjoint(names):
            _refuse("a proxy needs upstreams, whose names differ in more than case and punctuation, none of them ours")
        if not timedelta(0) < self.deadline <= timedelta(seconds=60):
            _refuse("the gate's deadline is above 0 and at most 60 seconds")


def read_config(config: GateConfig, backends: Mapping[str, Address]) -> Front:
    """Return what a proxy in front of this gate is told. `backends` says where each upstream listens, by its name.

    A service that the gate reaches by an origin of one of its upstreams is that upstream's own: the proxy asks it
    where the upstream listens. Raises `ConfigurationError` (`configuration.setting_malformed`).
    """
    if backends.keys() != {upstream.name for upstream in config.upstreams}:
        names = ", ".join(upstream.name for upstream in config.upstreams)
        _refuse(f"say for each upstream where it listens, and for no other: {names}")
    service = parse_service(config.service)
    for upstream in config.upstreams:
        sent = f"{service.address.scheme}://{_without_default_port(service.address)}"
        if sent in upstream.origins:
            service = Service(address=backends[upstream.name], prefix=service.prefix)
    return Front(
        gate=parse_address(config.listen),
        service=service,
        sites=tuple(_site(upstream, backends[upstream.name]) for upstream in config.upstreams),
        deadline=config.store_timeout + MARGIN,
    )


def _site(upstream: Upstream, backend: Address) -> Site:
    return Site(
        name=upstream.name,
        origins=tuple(Origins(upstream.origins)),
        backend=backend,
        routes=upstream.routes,
        takes_bodies=upstream.body is BodyDigest.CHECKED or upstream.unchecked_bodies,
    )


def _without_default_port(address: Address) -> str:
    return address.authority.removesuffix(":443" if address.tls else ":80")


def parse_address(text: str) -> Address:
    """Read `unix:/path`, `host:port`, `http://host[:port]` or `https://host[:port]`; a path after it is refused.

    Raises `ConfigurationError` (`configuration.setting_malformed`).
    """
    url = _URL.fullmatch(text)
    if url is not None and url["path"] in (None, "", "/"):
        return _parse_authority(url["authority"], tls=url["scheme"] == "https")
    unix = _UNIX.fullmatch(text)
    if unix is not None:
        return Address(path=unix[1])
    return _parse_authority(text, tls=False)


def parse_service(url: str) -> Service:
    """Read the service's URL, e.g. `http://127.0.0.1:8600/bonafide/v1`, into where it is and its prefix.

    Raises as `parse_address`.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        _refuse(f"{url!r} is not the service's URL")
    address = _parse_authority(parts["authority"], tls=parts["scheme"] == "https")
    return Service(address=address, prefix=(parts["path"] or "").rstrip("/"))


def _parse_authority(text: str, *, tls: bool) -> Address:
    port = "" if _PORT.search(text) else f":{443 if tls else 80}"
    if not _INTERNET.fullmatch(text + port):
        _refuse(f"{text!r} is neither unix:/path nor host:port")
    return Address(authority=text + port, tls=tls)


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError(reasons.SETTING_MALFORMED, why)
