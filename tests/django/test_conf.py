"""`BONAFIDE` is a closed set of keys, read into one value, and unsafe ones do not start in production."""

from __future__ import annotations

from datetime import date, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings

from bonafide.django import conf
from bonafide.django.setting_forms import (
    BehindGate,
    KeyPlace,
    NetworkLimits,
    SealingKeyFile,
    SealingKeyToken,
)
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.addresses import ReplayStoreAddress
from bonafide.terms import Environment, EvidenceEnvironment

if TYPE_CHECKING:
    from bonafide.django.conf import Settings
    from bonafide.reasons import Reason

BASE = Path("/srv/shop")
LEAST: dict[str, object] = {"ORIGINS": ["https://api.example.com", "https://www.example.com"]}


KEYS = conf.keys()


def parse(**keys: object) -> Settings:
    return conf.parse(LEAST | keys, base_dir=BASE)


def refusal(raw: object, base_dir: Path | None = BASE) -> tuple[Reason, str]:
    with pytest.raises(ConfigurationError) as caught:
        conf.parse(raw, base_dir=base_dir)
    return caught.value.reason, caught.value.detail


def test_origins_alone_make_a_configuration() -> None:
    settings = parse()
    assert settings.environment is Environment.PRODUCTION
    assert settings.origins == ("https://api.example.com", "https://www.example.com")
    assert settings.issuer == settings.audience == "https://api.example.com"
    assert settings.keys_dir == BASE / "var/bonafide/keys"
    assert settings.replay_store == ReplayStoreAddress(kind="lmdb", path=BASE / "var/bonafide/replay")
    assert settings.routes is None
    assert settings.evidence_environments == {EvidenceEnvironment.PRODUCTION}
    assert settings.unsafe_debug_evidence is False
    assert settings.unsafe_test_anchors == ()
    assert settings.client_attestation_lifetime == timedelta(minutes=5)
    assert settings.reattest_after == timedelta(hours=24)
    assert settings.evidence_retention == timedelta(days=90)
    assert settings.refusal_retention == timedelta(days=30)
    assert settings.enrolments_per_second == 50
    assert settings.network_limits == NetworkLimits(challenge=600, instances=300, renewals=1200)
    assert settings.trusted_proxies == ()
    assert settings.spool_memory == 2**20
    assert settings.bind_existing_until is None
    assert settings.processes is None
    assert settings.revocations_every == timedelta(seconds=5)
    assert settings.records_every == timedelta(seconds=1)


TOKEN: dict[str, object] = {"module": "/hsm.so", "token": "bonafide", "label": "sealing-1", "pin_file": "/pin"}
SEALED: dict[str, object] = {"KEY_STORAGE": "database", "SEALING_KEY": {"file": "/sealing.key"}}

GOOD: list[tuple[str, str, object, object]] = [
    ("ENVIRONMENT", "environment", "staging", Environment.STAGING),
    ("ISSUER", "issuer", "https://id.example.com", "https://id.example.com"),
    ("AUDIENCE", "audience", "shop", "shop"),
    ("KEYS_DIR", "keys_dir", "/keys", Path("/keys")),
    ("KEYS_DIR", "keys_dir", Path("/keys"), Path("/keys")),
    ("KEY_STORAGE", "key_storage", "files", KeyPlace.FILES),
    ("OTHER_SEALING_KEYS", "other_sealing_keys", [], ()),
    ("REPLAY_STORE", "replay_store", "lmdb:/replay", ReplayStoreAddress(kind="lmdb", path=Path("/replay"))),
    ("REPLAY_STORE", "replay_store", "redis://h/1", ReplayStoreAddress(kind="redis", hosts=(("h", 6379),), database=1)),
    ("ROUTES", "routes", "/routes.toml", Path("/routes.toml")),
    ("ROUTES", "routes", Path("/routes.toml"), Path("/routes.toml")),
    ("ROUTES", "routes", [{"match": "/**"}], ({"match": "/**"},)),
    ("ROUTES", "routes", None, None),
    ("EVIDENCE_ENVIRONMENTS", "evidence_environments", ["development"], {EvidenceEnvironment.DEVELOPMENT}),
    ("CLIENT_ATTESTATION_LIFETIME", "client_attestation_lifetime", 600, timedelta(minutes=10)),
    ("CLIENT_ATTESTATION_LIFETIME", "client_attestation_lifetime", timedelta(hours=1), timedelta(hours=1)),
    ("CLIENT_ATTESTATION_LIFETIME", "client_attestation_lifetime", 30, timedelta(seconds=30)),
    ("SECRETS_LIFETIME", "secrets_lifetime", 60, timedelta(minutes=1)),
    ("SECRETS_LIFETIME", "secrets_lifetime", timedelta(hours=24), timedelta(hours=24)),
    ("CONFIGURATION_LIFETIME", "configuration_lifetime", 60, timedelta(minutes=1)),
    ("CONFIGURATION_LIFETIME", "configuration_lifetime", timedelta(days=30), timedelta(days=30)),
    ("REATTEST_AFTER", "reattest_after", 0, timedelta(0)),
    ("EVIDENCE_RETENTION", "evidence_retention", "digest", None),
    ("EVIDENCE_RETENTION", "evidence_retention", timedelta(days=7), timedelta(days=7)),
    ("REFUSAL_RETENTION", "refusal_retention", timedelta(days=7), timedelta(days=7)),
    ("ENROLMENTS_PER_SECOND", "enrolments_per_second", 1, 1),
    ("NETWORK_LIMITS", "network_limits", {"challenge": None}, NetworkLimits(challenge=None)),
    ("NETWORK_LIMITS", "network_limits", {"instances": 5}, NetworkLimits(instances=5)),
    ("TRUSTED_PROXIES", "trusted_proxies", ["10.0.0.0/8", "::1"], (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
    ("SPOOL_MEMORY", "spool_memory", 0, 0),
    ("BINDING", "bind_existing_until", {"existing": "refuse"}, None),
    (
        "BINDING",
        "bind_existing_until",
        {"existing": "bind_on_first_use until 2027-01-31"},
        date(2027, 1, 31),
    ),
    ("PROCESSES", "processes", 4, 4),
    ("PROCESSES", "processes", None, None),
    ("REVOCATIONS_EVERY", "revocations_every", 0, timedelta(0)),
    ("RECORDS_EVERY", "records_every", None, None),
    ("RECORDS_EVERY", "records_every", timedelta(milliseconds=100), timedelta(milliseconds=100)),
]


@pytest.mark.parametrize(("key", "attribute", "written", "read"), GOOD)
def test_a_key_is_read_as_its_value(key: str, attribute: str, written: object, read: object) -> None:
    assert getattr(parse(**{key: written}), attribute) == read


BAD: list[tuple[str, object]] = [
    ("ENVIRONMENT", "prod"),
    ("ENVIRONMENT", Environment),
    ("ORIGINS", "https://api.example.com"),
    ("ORIGINS", [1]),
    ("ISSUER", ""),
    ("ISSUER", " https://id.example.com"),
    ("AUDIENCE", 7),
    ("KEYS_DIR", "keys"),
    ("KEYS_DIR", Path("keys")),
    ("KEYS_DIR", None),
    ("KEY_STORAGE", "postgresql"),
    ("KEY_STORAGE", None),
    ("SEALING_KEY", "/sealing.key"),
    ("SEALING_KEY", {}),
    ("SEALING_KEY", {"file": "sealing.key"}),
    ("SEALING_KEY", {"file": "/sealing.key", "pkcs11": TOKEN}),
    ("SEALING_KEY", {"kms": "https://kms.example.com"}),
    ("SEALING_KEY", {"pkcs11": "/module.so"}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "pin": "1234"}}),
    ("SEALING_KEY", {"pkcs11": {name: value for name, value in TOKEN.items() if name != "pin_file"}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "module": "module.so"}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "pin_file": "pin"}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "token": "t" * 33}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "label": "l" * 129}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "label": "a\nb"}}),
    ("SEALING_KEY", {"pkcs11": {**TOKEN, "label": 7}}),
    ("BEHIND_GATE", "/admission.key"),
    ("BEHIND_GATE", ["/admission.key"]),
    ("BEHIND_GATE", {}),
    ("BEHIND_GATE", {"key_files": []}),
    ("BEHIND_GATE", {"key_files": "/admission.key"}),
    ("BEHIND_GATE", {"key_files": ["admission.key"]}),
    ("BEHIND_GATE", {"key_files": ["/admission.key"], "key_file": "/admission.key"}),
    ("OTHER_SEALING_KEYS", {"file": "/sealing.key"}),
    ("OTHER_SEALING_KEYS", ["/sealing.key"]),
    ("REPLAY_STORE", "lmdb:replay"),
    ("REPLAY_STORE", "lmdb:"),
    ("REPLAY_STORE", "memory"),
    ("REPLAY_STORE", "memory:/x"),
    ("REPLAY_STORE", "redis://user:secret@host/x"),
    ("REPLAY_STORE", "http://host"),
    ("ROUTES", "routes.toml"),
    ("ROUTES", [1]),
    ("ROUTES", 1),
    ("EVIDENCE_ENVIRONMENTS", []),
    ("EVIDENCE_ENVIRONMENTS", ["debug"]),
    ("EVIDENCE_ENVIRONMENTS", ["everywhere"]),
    ("EVIDENCE_ENVIRONMENTS", "production"),
    ("UNSAFE_DEBUG_EVIDENCE", 1),
    ("UNSAFE_DEBUG_EVIDENCE", "False"),
    ("UNSAFE_TEST_ANCHORS", "/root.pem"),
    ("UNSAFE_TEST_ANCHORS", ["root.pem"]),
    ("CLIENT_ATTESTATION_LIFETIME", 29),
    ("CLIENT_ATTESTATION_LIFETIME", 3601),
    ("CLIENT_ATTESTATION_LIFETIME", 60.0),
    ("CLIENT_ATTESTATION_LIFETIME", True),
    ("SECRETS_LIFETIME", 59),
    ("SECRETS_LIFETIME", 24 * 3600 + 1),
    ("CONFIGURATION_LIFETIME", 59),
    ("CONFIGURATION_LIFETIME", timedelta(days=31)),
    ("REATTEST_AFTER", -1),
    ("REATTEST_AFTER", 10**30),
    ("EVIDENCE_RETENTION", "digests"),
    ("EVIDENCE_RETENTION", None),
    ("EVIDENCE_RETENTION", 0),
    ("REFUSAL_RETENTION", 0),
    ("ENROLMENTS_PER_SECOND", 0),
    ("ENROLMENTS_PER_SECOND", "50"),
    ("ENROLMENTS_PER_SECOND", True),
    ("NETWORK_LIMITS", {"challenges": 1}),
    ("NETWORK_LIMITS", {"challenge": 0}),
    ("NETWORK_LIMITS", 600),
    ("TRUSTED_PROXIES", ["10.0.0.1/8"]),
    ("TRUSTED_PROXIES", "10.0.0.0/8"),
    ("SPOOL_MEMORY", -1),
    ("SPOOL_MEMORY", 64 * 2**20 + 1),
    ("BINDING", "refuse"),
    ("BINDING", {}),
    ("BINDING", {"existing": "refuse", "more": 1}),
    ("BINDING", {"existing": "bind_on_first_use"}),
    ("BINDING", {"existing": "bind_on_first_use until 2027-02-30"}),
    ("BINDING", {"existing": None}),
    ("PROCESSES", 0),
    ("REVOCATIONS_EVERY", 61),
    ("RECORDS_EVERY", 0),
]


@pytest.mark.parametrize(("key", "written"), BAD)
def test_a_value_of_another_form_does_not_start_and_is_not_repeated(key: str, written: object) -> None:
    reason, detail = refusal(LEAST | {key: written})
    assert reason is reasons.SETTING_MALFORMED
    form = next(entry.form for entry in KEYS if entry.name == key)
    assert detail == f"BONAFIDE['{key}'] is {form}"


def test_every_key_is_tried_with_a_good_and_a_bad_value() -> None:
    names = {key.name for key in KEYS}
    # good ones have tests of their own
    tried = {"ORIGINS", "UNSAFE_DEBUG_EVIDENCE", "UNSAFE_TEST_ANCHORS", "SEALING_KEY", "BEHIND_GATE"}
    assert {key for key, *_ in GOOD} | tried == names
    assert {key for key, _ in BAD} == names


def test_a_misplaced_secret_is_not_repeated() -> None:
    assert "hunter2" not in refusal(LEAST | {"PROCESSES": "hunter2"})[1]


@pytest.mark.parametrize("key", ["ORIGIN", "origins", "DEBUG", "bind_existing_until", "BIND_EXISTING_UNTIL", 7])
def test_an_unknown_key_does_not_start(key: object) -> None:
    assert refusal(LEAST | {key: "x"}) == (reasons.SETTING_MALFORMED, f"BONAFIDE has no key {key}")


def test_the_settings_are_a_dict() -> None:
    assert refusal([("ORIGINS", [])]) == (reasons.SETTING_MALFORMED, "BONAFIDE is a dict")


@pytest.mark.parametrize(
    ("origins", "reason"),
    [
        ([], reasons.ORIGINS_EMPTY),
        (["https://api.example.com/"], reasons.ORIGIN_MALFORMED),
        (["https://api.example.com", "http://api.example.com"], reasons.ORIGIN_AMBIGUOUS),
    ],
)
def test_origins_are_a_closed_list_of_origins(origins: list[str], reason: Reason) -> None:
    assert refusal({"ORIGINS": origins})[0] is reason


def test_without_origins_nothing_starts() -> None:
    assert refusal({})[0] is reasons.ORIGINS_EMPTY


def test_without_base_dir_the_place_of_the_keys_must_be_named() -> None:
    assert refusal(LEAST, None) == (reasons.SETTING_MALFORMED, "BONAFIDE['KEYS_DIR'] is missing")
    settings = conf.parse(LEAST | {"KEYS_DIR": "/srv/keys"}, base_dir=None)
    assert settings.replay_store == ReplayStoreAddress(kind="lmdb", path=Path("/srv/replay"))


@pytest.mark.parametrize(("key", "value"), [("UNSAFE_DEBUG_EVIDENCE", True), ("UNSAFE_TEST_ANCHORS", ["/root.pem"])])
def test_production_does_not_start_with_the_trust_of_a_test(key: str, value: object) -> None:
    assert refusal(LEAST | {key: value}) == (reasons.TEST_TRUST, f"BONAFIDE['{key}']")
    for environment in list(Environment)[1:]:
        assert getattr(parse(ENVIRONMENT=environment, **{key: value}), key.lower())


def test_debug_evidence_is_admitted_where_it_is_asked_for_by_its_name_alone() -> None:
    settings = parse(ENVIRONMENT="staging", UNSAFE_DEBUG_EVIDENCE=True)
    assert settings.evidence_environments == {EvidenceEnvironment.PRODUCTION, EvidenceEnvironment.DEBUG}
    settings = parse(ENVIRONMENT="staging", UNSAFE_DEBUG_EVIDENCE=True, EVIDENCE_ENVIRONMENTS=["development"])
    assert settings.evidence_environments == {EvidenceEnvironment.DEVELOPMENT, EvidenceEnvironment.DEBUG}
    assert EvidenceEnvironment.DEBUG not in parse(ENVIRONMENT="staging").evidence_environments


def test_keys_in_the_database_are_sealed_by_a_file_or_a_token() -> None:
    settings = parse(**SEALED, OTHER_SEALING_KEYS=[{"pkcs11": TOKEN}])
    assert settings.key_storage is KeyPlace.DATABASE
    assert settings.sealing_key == SealingKeyFile(file=Path("/sealing.key"))
    (other,) = settings.other_sealing_keys
    assert other == SealingKeyToken(module=Path("/hsm.so"), token="bonafide", label="sealing-1", pin_file=Path("/pin"))


@pytest.mark.parametrize(
    "written",
    [
        {"KEY_STORAGE": "database"},
        {"SEALING_KEY": {"file": "/sealing.key"}},
        {"OTHER_SEALING_KEYS": [{"file": "/sealing.key"}]},
        {**SEALED, "OTHER_SEALING_KEYS": [SEALED["SEALING_KEY"]]},
    ],
)
def test_a_sealing_key_that_seals_nothing_and_keys_that_nothing_seals_do_not_start(written: dict[str, object]) -> None:
    assert refusal(LEAST | written)[0] is reasons.SETTING_MALFORMED


def test_a_gate_is_believed_with_these_keys_and_by_its_own_table_only() -> None:
    behind: dict[str, object] = {"BEHIND_GATE": {"key_files": ["/admission.key", Path("/next.key")]}}
    settings = parse(**behind, ROUTES="/routes.toml")
    assert settings.behind_gate == BehindGate(key_files=(Path("/admission.key"), Path("/next.key")))
    assert refusal(LEAST | behind)[0] is reasons.SETTING_MALFORMED


@pytest.mark.parametrize("processes", [{}, {"PROCESSES": 2}, {"PROCESSES": None}])
def test_a_store_of_one_process_serves_no_unknown_number(processes: dict[str, object]) -> None:
    assert refusal(LEAST | processes | {"REPLAY_STORE": "memory:"})[0] is reasons.STORE_SCOPE
    assert parse(REPLAY_STORE="memory:", PROCESSES=1).replay_store == ReplayStoreAddress(kind="memory")


def test_in_tests_records_are_written_when_asked_for() -> None:
    assert parse(ENVIRONMENT="test").records_every is None
    assert parse(ENVIRONMENT="test", RECORDS_EVERY=2).records_every == timedelta(seconds=2)


def test_every_key_says_what_it_is() -> None:
    assert len({key.name for key in KEYS}) == len(KEYS)
    for key in KEYS:
        assert key.form
        assert key.default
        assert key.about.endswith(".")


def test_the_settings_stay_the_same_object_until_they_change(settings: Any) -> None:
    before = conf.current()
    assert conf.current() is before
    with override_settings(BONAFIDE=LEAST | {"KEYS_DIR": "/keys"}):
        assert conf.current().keys_dir == Path("/keys")
    assert conf.current().keys_dir == before.keys_dir
    settings.BASE_DIR = "/elsewhere"
    settings.BONAFIDE = LEAST
    assert conf.current().keys_dir == Path("/elsewhere/var/bonafide/keys")


def test_debug_changes_nothing(settings: Any) -> None:
    settings.BONAFIDE = LEAST | {"KEYS_DIR": "/keys"}
    settings.DEBUG = True
    assert conf.current().environment is Environment.PRODUCTION


def test_a_project_without_the_setting_is_told_so(settings: Any) -> None:
    del settings.BONAFIDE
    with pytest.raises(ConfigurationError) as caught:
        conf.current()
    assert (caught.value.reason, caught.value.detail) == (reasons.SETTING_MALFORMED, "the settings have no BONAFIDE")


def test_a_project_that_stores_naive_times_does_not_start(settings: Any) -> None:
    settings.USE_TZ = False
    with pytest.raises(ConfigurationError) as caught:
        conf.current()
    assert (caught.value.reason, caught.value.detail) == (reasons.SETTING_MALFORMED, "USE_TZ is not True")
