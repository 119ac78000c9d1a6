"""The one settings dict, `BONAFIDE`: a closed set of keys, read into one value.

Rules of this file: each key is written once, below, with its form, its default and what it is for; the
reference page is made from `keys()`. A key that is unknown, missing or of a wrong form stops the
start (`configuration.setting_malformed`). Nothing is derived from DEBUG.

The value is read on first use and again after `override_settings`. Values are compared by identity, so
that what others build from one may be cached under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from bonafide.django import setting_forms as forms
from bonafide.django.setting_contradictions import refuse_contradictions
from bonafide.django.setting_forms import (
    BehindGate,
    KeyPlace,
    Network,
    NetworkLimits,
    SealingKeyAddress,
)
from bonafide.errors import ConfigurationError
from bonafide.http import Origins
from bonafide.reasons import configuration as reasons
from bonafide.stores.addresses import ReplayStoreAddress
from bonafide.terms import Environment, EvidenceEnvironment

NAME: Final = "BONAFIDE"


def _key(form: forms.Form[Any], about: str, *, shown: str) -> dict[str, object]:
    """Describe a key: the form of its value, what it is for, and its default in words."""
    return {"form": form, "about": about, "shown": shown}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Settings:
    """The settings of this process. Each field is the key of the same name in upper case."""

    environment: Environment = field(
        default=Environment.PRODUCTION,
        metadata=_key(
            forms.one_of(Environment),
            "Which deployment this is. Keys, instances, bans, challenges of one environment mean nothing in another.",
            shown='"production"',
        ),
    )
    origins: tuple[str, ...] = field(
        metadata=_key(
            forms.texts,
            "The public origins of the API, `scheme://authority`. `Host` picks one of them and never makes one.",
            shown="required",
        )
    )
    issuer: str = field(
        metadata=_key(
            forms.text,
            "The `iss` of client attestations: this service's URL, compared octet for octet.",
            shown="the first of ORIGINS",
        )
    )
    audience: str = field(
        metadata=_key(
            forms.text,
            "The `aud` of client attestations: this API, compared octet for octet.",
            shown="the first of ORIGINS",
        )
    )
    keys_dir: Path = field(
        metadata=_key(
            forms.path,
            "Directory of the signing, service and gate keys (0700, files 0600). All processes share it.",
            shown="BASE_DIR / var / bonafide / keys; required without BASE_DIR",
        )
    )
    key_storage: KeyPlace = field(
        default=KeyPlace.FILES,
        metadata=_key(
            forms.one_of(KeyPlace),
            "Where these keys lie: in files below KEYS_DIR, or sealed in the database, which all service hosts share.",
            shown='"files"',
        ),
    )
    sealing_key: SealingKeyAddress | None = field(
        default=None,
        metadata=_key(
            forms.sealing_key,
            "What seals the keys in the database: 32 octets in a file of mode 0600, or a key in an HSM. Required by "
            '"database", on every service host the same.',
            shown='None, with KEY_STORAGE "files"',
        ),
    )
    other_sealing_keys: tuple[SealingKeyAddress, ...] = field(
        default=(),
        metadata=_key(
            forms.sealing_keys,
            "Keys that open what they sealed and seal nothing: the next one or the last one while SEALING_KEY changes.",
            shown="[]",
        ),
    )
    replay_store: ReplayStoreAddress = field(
        metadata=_key(
            forms.replay_store,
            "Where first uses of proofs are remembered. `memory:` sees one process and demands PROCESSES = 1, `lmdb:` "
            "one host; the others are servers that several hosts share.",
            shown='"lmdb:" and the directory `replay` beside KEYS_DIR',
        )
    )
    routes: Path | tuple[Mapping[str, object], ...] | None = field(
        default=None,
        metadata=_key(
            forms.routes,
            "The route table: a path to TOML, or a list of dicts with the same keys. None observes every route.",
            shown="None",
        ),
    )
    behind_gate: BehindGate | None = field(
        default=None,
        metadata=_key(
            forms.optional(forms.behind_gate),
            "A gate judges in front of this project: what it says of a request is verified with one of these keys, and "
            "a request that it says nothing of is refused. ROUTES is then the gate's table.",
            shown="None",
        ),
    )
    evidence_environments: frozenset[EvidenceEnvironment] = field(
        default=frozenset([EvidenceEnvironment.PRODUCTION]),
        metadata=_key(
            forms.evidence_environments,
            "Evidence of which environments is admitted. `debug` is added by UNSAFE_DEBUG_EVIDENCE alone.",
            shown='["production"]',
        ),
    )
    unsafe_debug_evidence: bool = field(
        default=False,
        metadata=_key(
            forms.flag,
            "Accept evidence made with a debug secret, for simulators and CI. Refused in production.",
            shown="False",
        ),
    )
    unsafe_test_anchors: tuple[Path, ...] = field(
        default=(),
        metadata=_key(
            forms.paths,
            "Certificates (PEM) trusted as roots of evidence beside the bundled ones. Refused in production.",
            shown="[]",
        ),
    )
    client_attestation_lifetime: timedelta = field(
        default=timedelta(minutes=5),
        metadata=_key(
            forms.duration(least=timedelta(seconds=30), most=timedelta(minutes=60)),
            "How long a client attestation holds; the ceiling is 60 minutes. Bans do not wait for it.",
            shown="timedelta(minutes=5)",
        ),
    )
    secrets_lifetime: timedelta = field(
        default=timedelta(hours=1),
        metadata=_key(
            forms.duration(least=timedelta(minutes=1), most=timedelta(hours=24)),
            "How long an app uses the secrets that it was given before it asks again.",
            shown="timedelta(hours=1)",
        ),
    )
    configuration_lifetime: timedelta = field(
        default=timedelta(hours=24),
        metadata=_key(
            forms.duration(least=timedelta(minutes=1), most=timedelta(days=30)),
            "How long an app uses the configuration that it was given before it asks again.",
            shown="timedelta(hours=24)",
        ),
    )
    reattest_after: timedelta = field(
        default=timedelta(hours=24),
        metadata=_key(
            forms.duration(least=timedelta(0)),
            "A renewal brings a fresh App Attest assertion when the last one is older; zero demands one each time.",
            shown="timedelta(hours=24)",
        ),
    )
    evidence_retention: timedelta | None = field(
        default=timedelta(days=90),
        metadata=_key(
            forms.evidence_retention,
            'How long the octets of evidence are kept, to judge them again. "digest" keeps digests and claims only.',
            shown="timedelta(days=90)",
        ),
    )
    refusal_retention: timedelta = field(
        default=timedelta(days=30),
        metadata=_key(
            forms.duration(least=timedelta(hours=1)),
            "How long the operator's records of refusals and observed routes are kept.",
            shown="timedelta(days=30)",
        ),
    )
    enrolments_per_second: int = field(
        default=50,
        metadata=_key(
            forms.whole(least=1),
            "How many enrolment challenges per second an app gets, over all processes. Above it, devices back off.",
            shown="50",
        ),
    )
    network_limits: NetworkLimits = field(
        default=NetworkLimits(),
        metadata=_key(
            forms.network_limits,
            "Requests per minute that one client network (IPv4 address, IPv6 /64) may send to each unauthenticated "
            "endpoint; None for no limit. Carriers put thousands of phones behind one address. `gate` counts refused "
            "asks of gates, `console` passwords at the console of `bonafide serve`.",
            shown='{"challenge": 600, "instances": 300, "renewals": 1200, "gate": 60, "console": 20}',
        ),
    )
    trusted_proxies: tuple[Network, ...] = field(
        default=(),
        metadata=_key(
            forms.networks,
            "Networks whose X-Forwarded-For names the client's address. It is used for limits and for nothing else.",
            shown="[]",
        ),
    )
    spool_memory: int = field(
        default=2**20,
        metadata=_key(
            forms.whole(least=0, most=64 * 2**20),
            "Octets of a request body that are held in memory; the rest goes to disk while its digest is computed.",
            shown="1048576",
        ),
    )
    bind_existing_until: date | None = field(
        default=None,
        metadata=_key(
            forms.binding,
            'What becomes of credentials from before: {"existing": "refuse"}, or "bind_on_first_use until YYYY-MM-DD", '
            "which lets whoever comes first with a stolen credential keep it.",
            shown='{"existing": "refuse"}',
        ),
    )
    processes: int | None = field(
        default=None,
        metadata=_key(
            forms.optional(forms.whole(least=1)),
            "How many worker processes serve this API. None is unknown, which is more than `memory:` covers.",
            shown="None",
        ),
    )
    revocations_every: timedelta = field(
        default=timedelta(seconds=5),
        metadata=_key(
            forms.duration(least=timedelta(0), most=timedelta(minutes=1)),
            "How often a process looks for new bans.",
            shown="timedelta(seconds=5)",
        ),
    )
    records_every: timedelta | None = field(
        default=timedelta(seconds=1),
        metadata=_key(
            forms.optional(forms.duration(least=timedelta(milliseconds=100), most=timedelta(minutes=5))),
            "How often a process writes its refusals to the database. None writes at `records.flush()` only.",
            shown='timedelta(seconds=1); None where ENVIRONMENT is "test"',
        ),
    )

    @property
    def plain_in_production(self) -> tuple[str, ...]:
        """The origins of a production environment that have no TLS."""
        if self.environment is not Environment.PRODUCTION:
            return ()
        return tuple(origin for origin in self.origins if origin.startswith("http://"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key as its documentation has it: name in the dict, admitted form, default in words, purpose."""

    name: str
    form: str
    default: str
    about: str


_NAMES: Final = {"bind_existing_until": "BINDING"}


def keys() -> tuple[Key, ...]:
    """Return every key of `BONAFIDE`, in the order of the reference page."""
    return tuple(
        Key(
            name=_name(entry.name),
            form=entry.metadata["form"].words,
            default=entry.metadata["shown"],
            about=entry.metadata["about"],
        )
        for entry in fields(Settings)
    )


def parse(raw: object, *, base_dir: Path | None) -> Settings:
    """Read the settings dict. `base_dir` is where defaults of paths begin.

    Raises `ConfigurationError`: `configuration.setting_malformed` for a key that is unknown, missing or of
    a wrong form, `configuration.origin_*` for ORIGINS, `configuration.test_trust` for unsafe keys in production.
    """
    if not isinstance(raw, Mapping):
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME} is a dict")
    known = {_name(entry.name): entry for entry in fields(Settings)}
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME} has no key {unknown[0]}")
    values: dict[str, Any] = {
        known[name].name: _read(name, known[name].metadata["form"], value) for name, value in raw.items()
    }
    _derive(values, base_dir)
    for entry in fields(Settings):
        if entry.name not in values and entry.default is MISSING:
            raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME}[{_name(entry.name)!r}] is missing")
    return refuse_contradictions(Settings(**values))


def current() -> Settings:
    """Return this process's settings. The same object is returned until a setting changes.

    Raises as `parse`, and `configuration.setting_malformed` where USE_TZ is off.
    """
    settings = _CURRENT.get(NAME)
    if settings is None:
        base_dir = getattr(django_settings, "BASE_DIR", None)
        raw = getattr(django_settings, NAME, None)
        if raw is None:
            raise ConfigurationError(reasons.SETTING_MALFORMED, f"the settings have no {NAME}")
        if not django_settings.USE_TZ:  # the database would store times that mean another moment elsewhere
            raise ConfigurationError(reasons.SETTING_MALFORMED, "USE_TZ is not True")
        settings = _CURRENT[NAME] = parse(raw, base_dir=None if base_dir is None else Path(base_dir))
    return settings


_CURRENT: Final[dict[str, Settings]] = {}


def _forget(*, setting: str, **_: object) -> None:
    if setting in {NAME, "BASE_DIR", "USE_TZ"}:
        _CURRENT.clear()


setting_changed.connect(_forget, dispatch_uid="bonafide.django.conf")


def _name(attribute: str) -> str:
    return _NAMES.get(attribute, attribute.upper())


def _read(name: str, form: forms.Form[Any], value: object) -> object:
    try:
        return form.read(value)
    except (TypeError, ValueError, OverflowError):
        # The value stays out: a misplaced secret would otherwise end in a log.
        raise ConfigurationError(reasons.SETTING_MALFORMED, f"{NAME}[{name!r}] is {form.words}") from None


def _derive(values: dict[str, Any], base_dir: Path | None) -> None:
    origins = values.get("origins", ())
    Origins(origins)
    values.setdefault("issuer", origins[0])
    values.setdefault("audience", origins[0])
    if base_dir is not None:
        values.setdefault("keys_dir", base_dir / "var" / "bonafide" / "keys")
    if "keys_dir" in values:
        beside = values["keys_dir"].parent / "replay"
        values.setdefault("replay_store", ReplayStoreAddress(kind="lmdb", path=beside))
    if values.get("environment") is Environment.TEST:
        values.setdefault("records_every", None)
    if values.get("unsafe_debug_evidence"):
        admitted = values.get("evidence_environments", frozenset([EvidenceEnvironment.PRODUCTION]))
        values["evidence_environments"] = admitted | {EvidenceEnvironment.DEBUG}
