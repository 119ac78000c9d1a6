"""Values are sealed before the database sees them, versioned without a gap in a race, and read for one instance."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction

from bonafide.codec import json
from bonafide.django.documents import values, versions
from bonafide.django.documents.values import MAX_PUBLIC_CONTENT, MAX_SEALED_CONTENT, MAX_SECRET_BYTES, NewValue
from bonafide.django.models import App, AppValue, AuditEvent, AuditKind, Document, Identity, ValueKind
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons
from bonafide.stores.sealing_keys.held_key import HeldSealingKey
from bonafide.terms import Environment, Tier
from tests import canaries
from tests.django.hearing import hearing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.django.databases import Database

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
KEY = HeldSealingKey(bytes(range(32)), where="documents.key")
SECRET = "a-value-that-no-file-of-the-database-holds"
IDENTITY, OTHER = "ABCDE12345.com.example.shop", "ABCDE12345.com.example.clip"
WRITERS, ROUNDS = 4, 5

canaries.plant("app secret", SECRET)


@pytest.fixture
def app(database: Database) -> App:
    del database
    row = App.objects.create(name="shop", environment="test")
    for name in (IDENTITY, OTHER):
        Identity.objects.create(app=row, name=name)
    return row


def put(
    app: App, name: str = "maps", value: object = SECRET, kind: ValueKind = ValueKind.SECRET, **more: Any
) -> AppValue:
    tier = more.pop("tier", Tier.NONE if kind is ValueKind.PUBLIC else Tier.AFFIRMING)
    new = NewValue(kind=kind, name=name, value=value, tier=tier, **more)
    return values.set_value(app, new, key=KEY, by="anna", now=NOON)


def take(app: App, name: str = "maps", **more: Any) -> bool:
    return values.remove(app, ValueKind.SECRET, name, by="bert", now=NOON + timedelta(hours=1), **more)


def secrets(
    identity: str = IDENTITY, tier: Tier = Tier.AFFIRMING, key: HeldSealingKey | None = KEY
) -> dict[str, object]:
    found = values.read(Environment.TEST, "shop", Document.SECRETS, identity=identity, tier=tier, key=key)
    return found.values[ValueKind.SECRET]


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(ValidationError) as refusal:
        act()
    assert SECRET not in str(refusal.value)
    return "; ".join(refusal.value.messages)


def unsealable(act: Callable[[], object]) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        act()
    assert refusal.value.reason is reasons.SECRET_UNSEALABLE
    return refusal.value.detail


# Sealed, and in their place -----------------------------------------------------------------------


def test_the_database_holds_nothing_that_can_be_read(app: App, database: Database) -> None:
    put(app)
    put(app, "flag", {"of": SECRET}, ValueKind.SEALED)
    every = b"".join(bytes(sealed or b"") for sealed in AppValue.objects.values_list("sealed", flat=True))
    assert SECRET.encode() not in every
    assert not canaries.told(repr(list(AppValue.objects.values())) + repr(list(AuditEvent.objects.values())))
    name = connections[database.alias].settings_dict["NAME"]
    if database.vendor == "sqlite":
        for path in Path(name).parent.glob(f"{Path(name).name}*"):
            octets = path.read_bytes()
            assert all(spelling.encode() not in octets for spelling in canaries.spellings(SECRET.encode()).values())


@pytest.mark.parametrize(
    "change",
    [
        {"tier": "none"},
        {"identity": OTHER},
        {"name": "other"},
        {"version": 0},
        {"kind": "sealed"},
        {"app": "another"},
        {"environment": "staging"},
    ],
)
def test_a_row_that_was_moved_or_made_cheaper_does_not_open(app: App, change: dict[str, Any]) -> None:
    put(app, identity=IDENTITY)
    AppValue.objects.update(**change)
    (row,) = AppValue.objects.all()
    assert "maps" in unsealable(lambda: values._value(row, KEY)) or "name" in change
    if not {"app", "environment", "kind"} & change.keys():
        unsealable(lambda: secrets(identity=change.get("identity", IDENTITY)))


def test_a_row_without_its_octets_or_under_another_key_does_not_open(app: App) -> None:
    put(app)
    unsealable(lambda: secrets(key=HeldSealingKey(bytes(32), where="elsewhere")))
    AppValue.objects.update(sealed=None)
    assert unsealable(secrets).endswith("erased")


def test_without_the_key_public_values_alone_are_read(app: App) -> None:
    put(app, "flag", 1, ValueKind.SEALED)
    put(app, "colour", "blue", ValueKind.PUBLIC)
    found = values.read(
        Environment.TEST, "shop", Document.CONFIGURATION, identity=IDENTITY, tier=Tier.AFFIRMING, key=None
    )
    assert found.values == {ValueKind.PUBLIC: {"colour": "blue"}}


# Versions -----------------------------------------------------------------------------------------


def test_each_change_is_a_version_and_old_ones_are_kept(app: App) -> None:
    assert [put(app, value=f"{SECRET}-{n}").version for n in range(3)] == [1, 2, 3]
    assert take(app)
    rows = AppValue.objects.order_by("version").values_list("version", "ended_version", "set_by", "ended_by")
    assert list(rows) == [(1, 2, "anna", "anna"), (2, 3, "anna", "anna"), (3, 4, "anna", "bert")]
    assert secrets() == {}
    assert not take(app, "never")
    assert not take(app)


def test_secrets_and_configuration_are_counted_apart_and_both_kinds_of_configuration_together(app: App) -> None:
    assert put(app).version == 1
    assert put(app, "flag", 1, ValueKind.SEALED).version == 1
    assert put(app, "colour", 1, ValueKind.PUBLIC).version == 2


def test_a_version_holds_what_stood_then_whatever_is_written_meanwhile(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(app, value="first")
    newest = versions.newest

    def overtaken(*arguments: Any, **options: Any) -> int:
        number = newest(*arguments, **options)
        put(app, value="second")
        put(app, "other", "third")
        return number

    monkeypatch.setattr(versions, "newest", overtaken)
    found = values.read(Environment.TEST, "shop", Document.SECRETS, identity="", tier=Tier.AFFIRMING, key=KEY)
    assert (found.version, found.values[ValueKind.SECRET]) == (1, {"maps": "first"})


def test_one_value_of_a_name_stands_at_a_time(app: App) -> None:
    row = put(app)
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_writers_that_race_lose_nothing_and_share_no_version(app: App) -> None:
    failures: list[BaseException] = []

    def write(me: int) -> None:
        try:
            for number in range(ROUNDS):
                put(app, value=f"{SECRET}-{me}-{number}")
                put(app, f"own-{me}", f"{number}")
        except BaseException as failure:  # noqa: BLE001 - told below
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[me]) for me in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    count = WRITERS * ROUNDS * 2
    assert sorted(AppValue.objects.values_list("version", flat=True)) == list(range(1, count + 1))
    assert AppValue.objects.filter(ended_version=None).count() == WRITERS + 1
    assert secrets().keys() == {"maps", *(f"own-{me}" for me in range(WRITERS))}


# What is set --------------------------------------------------------------------------------------


def test_a_value_comes_back_as_it_was_set(app: App) -> None:
    every: dict[str, object] = {
        "text": "ä\x00\n😀",
        "number": 20,
        "share": 0.5,
        "none": None,
        "flags": [True, False],
        "deep": json.parse_object(b'{"a":' * 13 + b"{}" + b"}" * 13),
    }
    for name, value in every.items():
        put(app, name, value, ValueKind.SEALED)
        put(app, name, value, ValueKind.PUBLIC)
    found = values.read(
        Environment.TEST, "shop", Document.CONFIGURATION, identity=IDENTITY, tier=Tier.AFFIRMING, key=KEY
    )
    assert found.values[ValueKind.SEALED] == found.values[ValueKind.PUBLIC] == every


@pytest.mark.parametrize("name", ["", "1a", ".a", "a b", "a" * 65, "ä", "a\n", "a/b", "_a"])
def test_a_name_of_another_form_is_refused(app: App, name: str) -> None:
    assert "name" in refused(lambda: put(app, name))
    assert not AppValue.objects.exists()


@pytest.mark.parametrize("value", ["", None, 1, {"a": SECRET}, [SECRET], "\ud800", "x" * MAX_SECRET_BYTES])
def test_a_secret_that_is_no_text_or_too_long_is_refused(app: App, value: object) -> None:
    refused(lambda: put(app, value=value))


@pytest.mark.parametrize(
    "value",
    [float("nan"), 2**53, object(), {1: 2}, {"a": "\ud800"}, json.parse_object(b'{"a":' * 14 + b"{}" + b"}" * 14)],
)
@pytest.mark.parametrize("kind", [ValueKind.SEALED, ValueKind.PUBLIC])
def test_a_value_that_not_every_app_reads_is_refused(app: App, kind: ValueKind, value: object) -> None:
    if value == {1: 2}:
        return  # JSON spells the name as a text, and so does the app
    assert "JSON" in refused(lambda: put(app, "x", value, kind))


def test_an_identity_that_the_app_has_not_is_refused(app: App) -> None:
    assert "no identity" in refused(lambda: put(app, identity="ABCDE12345.com.example.none"))


def test_a_public_value_has_neither_identity_nor_tier(app: App) -> None:
    refused(lambda: put(app, "x", 1, ValueKind.PUBLIC, identity=IDENTITY))
    refused(lambda: put(app, "x", 1, ValueKind.PUBLIC, tier=Tier.AFFIRMING))
    refused(lambda: put(app, "x", 1, ValueKind.SEALED, tier=Tier.CONTRAINDICATED))


@pytest.mark.parametrize(
    ("kind", "room"),
    [
        (ValueKind.SECRET, MAX_SEALED_CONTENT),
        (ValueKind.SEALED, MAX_SEALED_CONTENT),
        (ValueKind.PUBLIC, MAX_PUBLIC_CONTENT),
    ],
)
def test_what_no_longer_fits_is_refused_and_changes_nothing(app: App, kind: ValueKind, room: int) -> None:
    size = 10_000
    for number in range(room // size):
        put(app, f"n{number}", "x" * (size - 100), kind)
    count = AppValue.objects.count()
    assert "more than one document holds" in refused(lambda: put(app, "last", "x" * size, kind))
    assert AppValue.objects.count() == count
    assert put(app, "n0", "short", kind).version == count + 1  # the refused one took no number


def test_room_is_counted_for_each_identity(app: App) -> None:
    for number in range(3):
        put(app, f"clip{number}", "x" * 10_000, identity=OTHER)
        put(app, f"shop{number}", "x" * 5_000, identity=IDENTITY)
    assert "more than" in refused(lambda: put(app, "all", "x" * 10_000))
    put(app, "clip0", "x" * 10_000)  # the one identity has room, and has its own in place of it the other


# The audit ----------------------------------------------------------------------------------------


def test_each_act_is_told_without_its_value(app: App) -> None:
    put(app, identity=IDENTITY, tier=Tier.WARNING)
    take(app, identity=IDENTITY, erase=True)
    events = AuditEvent.objects.order_by("pk").values_list("kind", "subject", "actor", "detail", "app", "environment")
    told = {"kind": "secret", "identity": IDENTITY}
    assert list(events) == [
        (AuditKind.VALUE_SET, "maps", "anna", {**told, "version": 1, "tier": "warning"}, "shop", "test"),
        (AuditKind.VALUE_REMOVED, "maps", "bert", told, "shop", "test"),
        (AuditKind.VALUE_ERASED, "maps", "bert", told, "shop", "test"),
    ]


def test_erasing_takes_the_octets_of_every_version(app: App) -> None:
    put(app)
    put(app, value=f"{SECRET}-2")
    put(app, "other")
    assert take(app, erase=True)
    assert set(AppValue.objects.filter(sealed=None).values_list("name", "version")) == {("maps", 1), ("maps", 2)}
    assert secrets() == {"other": SECRET}


def test_a_value_prints_nowhere(app: App) -> None:
    new = NewValue(kind=ValueKind.SECRET, name="maps", value=SECRET)
    content = values.read(Environment.TEST, "shop", Document.SECRETS, identity="", tier=Tier.AFFIRMING, key=KEY)
    assert SECRET not in repr((new, put(app), content))


@pytest.mark.parametrize("text", ["", "x", '1,"w":2', "1}", "{", "NaN", '{"a":1,"a":2}', "1 2"])
def test_text_that_is_no_json_value_is_refused(text: str) -> None:
    assert "JSON" in refused(lambda: values.parse_json(text))


def test_text_that_is_a_json_value_is_read() -> None:
    assert [values.parse_json(text) for text in ("1", " true ", '"x"', '{"a":[null]}')] == [1, True, "x", {"a": [None]}]


def test_every_change_is_told_without_the_value(app: App) -> None:
    with hearing() as heard:
        put(app, identity=IDENTITY)
        take(app, identity=IDENTITY, erase=True)
    about = {"app": "shop", "environment": "test", "kind": "secret", "name": "maps", "identity": IDENTITY}
    assert heard == [
        ("value_changed", about | {"change": "value_set", "by": "anna"}),
        ("value_changed", about | {"change": "value_removed", "by": "bert"}),
        ("value_changed", about | {"change": "value_erased", "by": "bert"}),
    ]
