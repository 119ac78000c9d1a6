"""The findings of a gate's file. No Django: a gate's host has none."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bonafide.cli.findings import Finding, as_root, is_loopback, is_plain_abroad, private_paths
from bonafide.errors import ConfigurationError
from bonafide.gate.config import BodyDigest
from bonafide.gate.identity import read_gate_key
from bonafide.stores.addresses import parse_address
from bonafide.stores.admission_keys import read_admission_key
from bonafide.terms import Environment, EvidenceEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bonafide.gate.config import GateConfig, Upstream
    from bonafide.routes import Route
    from bonafide.stores.addresses import ReplayStoreAddress

BAN_WITHIN: Final = timedelta(seconds=5)
STALE: Final = timedelta(minutes=10)

_NETWORKED: Final = frozenset(["redis", "sentinel", "cluster"])


def judge(config: GateConfig) -> Iterator[Finding]:
    """Return what is dangerous about a gate as its file has it. Nothing is connected to."""
    yield from as_root("gate")
    yield from _keys(config)
    yield from _service(config)
    yield from _listener(config)
    yield from _store(config)
    yield from _limits(config)
    yield from _trust(config)
    for upstream in config.upstreams:
        yield from _upstream(config, upstream)


def _keys(config: GateConfig) -> Iterator[Finding]:
    places = [config.key_file, *(upstream.key_file for upstream in config.upstreams)]
    yield from private_paths("gate", [config.state_dir, *places])
    yield from _readable(config.key_file, read_gate_key)
    for upstream in config.upstreams:
        yield from _readable(upstream.key_file, read_admission_key)
    files = [upstream.key_file.resolve() for upstream in config.upstreams]
    if len(set(files)) < len(files):
        yield Finding(
            code="gate.key_shared",
            what="Two upstreams share one admission key.",
            attacker="who has taken one API over says at the other whom the gate admitted.",
            remedy="give each [[upstream]] a key_file of its own.",
        )


def _readable(path: Path, read: Callable[[Path], object]) -> Iterator[Finding]:
    try:
        read(path)
    except ConfigurationError as refusal:
        yield Finding(
            code="gate.key_unusable",
            what=f"{refusal.detail}.",
            attacker="nothing, if nobody could read or replace it; but this gate does not start.",
            remedy="`bonafide gate init` makes missing keys, 0600, for the account that runs the gate.",
        )


def _service(config: GateConfig) -> Iterator[Finding]:
    if is_plain_abroad(config.service):
        yield Finding(
            code="gate.service_plain",
            what=f"service is {config.service}: plain HTTP on a network.",
            attacker="answers are signed and sealed, so nothing is read or forged; but who is between keeps bans away "
            "from this gate until max_stale.",
            remedy="ask over https://, or on loopback.",
        )
    if len(config.service_keys) < 2:  # noqa: PLR2004 - the key and its spare
        yield Finding(
            code="gate.no_spare",
            what="service_keys pins one key, and no spare.",
            attacker="who steals or destroys that key stops this gate until its file is changed.",
            remedy="pin both thumbprints that `bonafide keys list` shows.",
        )
    if config.poll_every > BAN_WITHIN:
        yield Finding(
            code="gate.polls_slowly",
            what=f"poll_every is {config.poll_every.total_seconds():g} s.",
            attacker="who was banned goes on for as long.",
            remedy="keep 3.",
        )
    if config.max_stale > STALE:
        yield Finding(
            code="gate.stale_long",
            what=f"max_stale is {config.max_stale}.",
            attacker="who keeps this gate from its service puts bans off for as long.",
            remedy="keep 600, and make the service answer.",
        )


def _listener(config: GateConfig) -> Iterator[Finding]:
    if config.socket is None and not is_loopback(config.address[0]):
        yield Finding(
            code="gate.listens_abroad",
            what=f"listen is {config.listen}: whoever is on that network speaks to the gate itself.",
            attacker="they say which address a request came from, and learn verdicts without your proxy's limits.",
            remedy="listen on a unix socket or on loopback, beside the proxy.",
        )


def _store(config: GateConfig) -> Iterator[Finding]:
    try:
        address = parse_address(config.replay_store)
    except ConfigurationError as refusal:
        yield Finding(
            code="gate.store_malformed",
            what=f"replay_store: {refusal.detail}.",
            attacker="nothing; but this gate does not start.",
            remedy=refusal.reason.remedy,
        )
        return
    if address.kind == "memory":
        yield Finding(
            code="gate.store_forgets",
            what="replay_store is memory:.",
            attacker="nothing; but each restart refuses honest requests for some seconds, and one worker is the most.",
            remedy="use lmdb: or Redis.",
        )
    if address.kind in _NETWORKED:
        yield from _networked_store(address)


def _networked_store(address: ReplayStoreAddress) -> Iterator[Finding]:
    abroad = [host for host, _ in address.hosts if not is_loopback(host)]
    if abroad and not address.tls:
        yield Finding(
            code="gate.store_plain",
            what=f"replay_store speaks to {abroad[0]} without TLS.",
            attacker="who is between has used proofs forgotten, and sends recorded requests again.",
            remedy="use rediss:// with ca_file.",
        )
    if abroad and address.password is None and address.password_file is None:
        yield Finding(
            code="gate.store_unlocked",
            what=f"replay_store at {abroad[0]} asks for no password.",
            attacker="who reaches it deletes what was used, and sends recorded requests again.",
            remedy="an ACL user with a password_file.",
        )
    if address.password is not None:
        yield Finding(
            code="gate.store_password",
            what="The replay store's password stands in the gate's file.",
            attacker="who sees a copy of the file deletes what was used.",
            remedy="?password_file=/path, mode 0600.",
        )


def _limits(config: GateConfig) -> Iterator[Finding]:
    limits = config.limits
    missing = [name for name in ("instance", "network", "user") if getattr(limits, name) is None]
    if missing:
        yield Finding(
            code="gate.unlimited",
            what=f"[limits] has none for {', '.join(missing)}.",
            attacker="one of them may send as much as your API can answer: farms of real phones pass every proof.",
            remedy="set a rate that your busiest honest user stays below.",
        )
    if limits.store != "memory:":
        yield from _networked_limits(limits.store)
    elif config.workers > 1:
        yield Finding(
            code="gate.limits_apart",
            what=f"[limits] are counted in each of {config.workers} workers.",
            attacker=f"they send up to {config.workers} times what is written.",
            remedy="count in Redis (store = …), or write a share of the rate.",
        )


def _networked_limits(store: str) -> Iterator[Finding]:
    """Judge an address of the `limits` library: scheme, credentials, and hosts with commas between."""
    scheme, _, rest = store.partition("://")
    credentials, _, hosts = rest.partition("/")[0].rpartition("@")
    named = [host.rpartition(":")[0] or host for host in hosts.split(",")]
    abroad = [host for host in named if host and not is_loopback(host.strip("[]"))]
    if abroad and not scheme.startswith("rediss"):
        yield Finding(
            code="gate.limits_plain",
            what=f"[limits] store speaks to {abroad[0]} without TLS.",
            attacker="who is between learns which instances come, and has counts forgotten.",
            remedy="use rediss://.",
        )
    if credentials.partition(":")[2]:
        yield Finding(
            code="gate.limits_password",
            what="The password of [limits] store stands in the gate's file.",
            attacker="who sees a copy of the file resets everybody's counts.",
            remedy="a Redis on loopback or a Unix socket for counts, or an ACL user that may do nothing else.",
        )


def _trust(config: GateConfig) -> Iterator[Finding]:
    weak = config.evidence_environments - {EvidenceEnvironment.PRODUCTION}
    if config.environment is Environment.PRODUCTION and weak:
        yield Finding(
            code="gate.development_evidence",
            what=f"evidence_environments admits {', '.join(sorted(weak))} in production.",
            attacker="who can sign with the team's development certificate comes in with a build of their own.",
            remedy='keep ["production"].',
        )


def _upstream(config: GateConfig, upstream: Upstream) -> Iterator[Finding]:
    if upstream.body is BodyDigest.UNCHECKED:
        taken = "takes bodies all the same (unchecked_bodies)" if upstream.unchecked_bodies else "takes no bodies"
        yield Finding(
            code="gate.bodies_unchecked",
            what=f'Upstream {upstream.name} is body = "unchecked", and {taken}.',
            attacker="a proxy on the phone's network changes what a signed request says in its body."
            if upstream.unchecked_bodies
            else "nothing yet: requests with bodies are refused.",
            remedy="put Bonafide's middleware into that API, and say checked.",
        )
    plain = [origin for origin in upstream.origins if origin.startswith("http://")]
    if plain and config.environment is Environment.PRODUCTION:
        yield Finding(
            code="gate.origin_plain",
            what=f"Upstream {upstream.name} has the origin {plain[0]} in production.",
            attacker="who is on the way reads bearer tokens and answers.",
            remedy="write the https:// origin that clients use.",
        )
    for code, what, attacker, remedy, applies in _ROUTES:
        matches = [route.match for route in upstream.routes if applies(route)]
        if matches:
            what_is = f"Upstream {upstream.name}: {what}: {', '.join(matches)}."
            yield Finding(code=f"gate.{code}", what=what_is, attacker=attacker, remedy=remedy)


_ROUTES: Final[tuple[tuple[str, str, str, str, Callable[[Route], bool]], ...]] = (
    (
        "routes_observe",
        "routes that only observe",
        "requests without a proof take effect there.",
        'once their refusals are understood: mode = "enforce".',
        lambda route: route.enforced_share <= 0,
    ),
    (
        "routes_share",
        "routes enforced for a share of clients",
        "the rest gets in without a proof.",
        'finish it with mode = "enforce".',
        lambda route: 0 < route.enforced_share < 1,
    ),
    (
        "routes_seal_observed",
        "routes that seal, and do not enforce for everybody",
        "who is answered without a proof is answered in clear, and so may be the app, where a proxy spoils its proof.",
        'finish them with mode = "enforce".',
        lambda route: route.seal and route.enforced_share < 1,
    ),
    (
        "routes_legacy",
        "routes that admit old app versions without a proof",
        "whoever sends no proof passes for one of them.",
        "keep max_share small, and end it with `until`.",
        lambda route: route.legacy is not None,
    ),
    (
        "routes_repeat",
        "routes on which a proof may be used again",
        "a recorded request is sent again while its proof is fresh.",
        "remove single_use = false where it matters.",
        lambda route: not route.single_use,
    ),
    (
        "routes_dpop",
        "routes on which DPoP admits requests whose bodies nobody signed",
        "whoever is on the way edits body and query.",
        'name the methods that need neither (`methods`), or demand proof = "session".',
        lambda route: route.leaves_bodies_open,
    ),
)
