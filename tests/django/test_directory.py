"""Apps are read as the core wants them; a slip in one of them stops that one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.django import conf, directory
from bonafide.django.models import App, Identity
from bonafide.terms import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bonafide import appraisal

pytestmark = pytest.mark.usefixtures("database")


def make(name: str, environment: str = "test", **fields: Any) -> App:
    app = App.objects.create(name=name, environment=environment, **fields)
    Identity.objects.create(app=app, name="ABCDE12345.com.example.shop")
    return app


def read() -> Mapping[str, appraisal.App]:
    return directory.watch(conf.current()).current()


def test_apps_of_this_environment_are_read_with_their_identities() -> None:
    app = make("shop", other_audiences=["https://id.example.com"])
    Identity.objects.create(
        app=app,
        name="ABCDE12345.com.example.mac",
        platform="macos",
        environments=["production", "development"],
        validation_categories=[6],
        validation_category_required=True,
        minimum_app_version="1.2",
        minimum_os_version="14.0",
        minimum_sdk_version="1.0",
        unattested=True,
        evidence_max_age=timedelta(days=30),
        reattest_after=timedelta(0),
    )
    make("shop", "production")
    make("other", "staging")
    apps = read()
    assert list(apps) == ["shop"]
    shop = apps["shop"]
    assert shop.audience == "https://api.example.com"
    assert shop.other_audiences == {"https://id.example.com"}
    mac, ios = shop.identities
    assert (mac.name, mac.platform, ios.name) == (
        "ABCDE12345.com.example.mac",
        Platform.MACOS,
        "ABCDE12345.com.example.shop",
    )
    assert sorted(mac.policy.environments) == ["development", "production"]
    assert sorted(mac.policy.validation_categories) == [6]
    assert mac.policy.validation_category_required
    assert mac.policy.unattested
    versions = (mac.policy.minimum_app_version, mac.policy.minimum_os_version, mac.policy.minimum_sdk_version)
    assert versions == ("1.2", "14.0", "1.0")
    assert (mac.policy.evidence_max_age, mac.policy.reattest_after) == (timedelta(days=30), timedelta(0))


def test_a_new_identity_accepts_the_released_app_and_no_other() -> None:
    from bonafide.appraisal import IdentityPolicy

    make("shop")
    assert read()["shop"].identities[0].policy == IdentityPolicy()


def test_settings_stand_in_for_empty_fields_and_for_no_others(settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"AUDIENCE": "api", "REATTEST_AFTER": 60}
    make("shop")
    own = make("own", audience="its-own")
    own.identities.update(reattest_after=timedelta(hours=1))
    apps = read()
    assert (apps["shop"].audience, apps["own"].audience) == ("api", "its-own")
    assert apps["shop"].identities[0].policy.reattest_after == timedelta(minutes=1)
    assert apps["own"].identities[0].policy.reattest_after == timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"environments": "production"}, "not a list"),
        ({"environments": ["everywhere"]}, "everywhere"),
        ({"environments": [1]}, "not a list of texts"),
        ({"validation_categories": [99]}, "99"),
        ({"validation_categories": [True]}, "not a list of numbers"),
        ({"platform": "amiga"}, "amiga"),
        ({"platform": "android"}, "not built yet"),
        ({"name": "no app id"}, "no app id"),
        ({"minimum_app_version": "two"}, "two"),
    ],
)
def test_an_app_that_the_core_refuses_is_left_out_and_logged(fields: dict[str, Any], words: str, caplog: Any) -> None:
    make("shop")
    slip = make("slip")
    slip.identities.update(**fields)
    assert list(read()) == ["shop"]
    (message,) = caplog.messages
    assert message.startswith("app slip is left out: ")
    assert words in message


def test_an_app_without_identities_is_left_out(caplog: Any) -> None:
    App.objects.create(name="empty", environment="test")
    assert not read()
    assert "no identity" in caplog.text


def test_every_change_in_the_console_is_seen(settings: Any) -> None:
    settings.BONAFIDE = settings.BONAFIDE | {"REVOCATIONS_EVERY": 0}
    copy = directory.watch(conf.current())
    assert not copy.current()
    app = make("shop")
    assert copy.current()["shop"].identities[0].name == "ABCDE12345.com.example.shop"
    identity = app.identities.get()
    identity.name = "ABCDE12345.com.example.renamed"
    identity.save()
    assert copy.current()["shop"].identities[0].name == "ABCDE12345.com.example.renamed"
    identity.delete()
    app.delete()
    assert not copy.current()


def test_what_was_read_cannot_be_written() -> None:
    make("shop")
    with pytest.raises(TypeError):
        read()["other"] = read()["shop"]  # type: ignore[index]  # what the test is about
