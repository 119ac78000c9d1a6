"""Commands set secrets from files and standard input alone, show none again, and publish pins that lock nobody out."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import call_command
from django.core.management.base import CommandError

from bonafide.django import conf
from bonafide.django.command_words import operator
from bonafide.django.documents import pins, values
from bonafide.django.key_sources import KeySources
from bonafide.django.models import App, AppValue, AuditEvent, Document, Identity, PublishedPins, ValueKind
from bonafide.documents import open_pins
from bonafide.terms import Environment, Tier
from tests import canaries
from tests.django.documents.tls_host import HOST, TlsHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.django.databases import Database

SECRET = "a-secret-that-no-command-prints"
IDENTITY = "ABCDE12345.com.example.shop"
canaries.plant("app secret", SECRET)


@pytest.fixture(autouse=True)
def project(database: Database, settings: Any, tmp_path: Path) -> Any:
    settings.BONAFIDE = settings.BONAFIDE | {"KEYS_DIR": str(tmp_path / "keys")}
    app = App.objects.create(name="shop", environment=Environment.TEST)
    Identity.objects.create(app=app, name=IDENTITY)
    return settings


def run(*arguments: str, stdin: bytes | None = None) -> str:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        if stdin is not None:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue() + err.getvalue()


def refused(*arguments: str, stdin: bytes | None = None) -> str:
    with pytest.raises(CommandError) as refusal:
        run(*arguments, stdin=stdin)
    assert SECRET not in str(refusal.value)
    return str(refusal.value)


def read(document: Document, identity: str = "", tier: Tier = Tier.AFFIRMING) -> dict[ValueKind, dict[str, object]]:
    key = KeySources(conf.current()).document_key()
    return values.read(Environment.TEST, "shop", document, identity=identity, tier=tier, key=key).values


# bonafide_secrets -------------------------------------------------------------------------------


def test_a_secret_is_set_from_standard_input_and_never_shown(tmp_path: Path) -> None:
    told = run("bonafide_secrets", "set", "shop", "maps", stdin=f"{SECRET}\n".encode())
    told += run("bonafide_secrets", "list", "shop") + run("bonafide_secrets", "history", "shop", "maps")
    assert read(Document.SECRETS) == {ValueKind.SECRET: {"maps": SECRET}}
    assert "maps  secret  all identities  affirming  version 1" in told
    assert told.rstrip().endswith("stands")
    assert not canaries.told(told)
    assert AppValue.objects.get().set_by == operator()


@pytest.mark.parametrize(
    ("octets", "value"),
    [(b"a\n", "a"), (b"a\r\n", "a"), (b"a\n\n", "a\n"), (b"a", "a"), (b" a ", " a "), ("ä".encode(), "ä")],
)
def test_one_line_break_at_the_end_is_dropped(tmp_path: Path, octets: bytes, value: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(octets)
    run("bonafide_secrets", "set", "shop", "maps", "--from", str(path))
    assert read(Document.SECRETS) == {ValueKind.SECRET: {"maps": value}}


def test_a_secret_is_for_an_identity_and_from_a_tier_on() -> None:
    run("bonafide_secrets", "set", "shop", "maps", "--identity", IDENTITY, "--tier", "warning", stdin=b"x")
    assert read(Document.SECRETS, IDENTITY, Tier.WARNING)[ValueKind.SECRET] == {"maps": "x"}
    assert read(Document.SECRETS, IDENTITY, Tier.NONE)[ValueKind.SECRET] == {}
    assert read(Document.SECRETS)[ValueKind.SECRET] == {}


def test_a_secret_is_removed_and_its_story_stays() -> None:
    run("bonafide_secrets", "set", "shop", "maps", stdin=SECRET.encode())
    assert "change it where it is used" in run("bonafide_secrets", "remove", "shop", "maps", "--erase")
    assert run("bonafide_secrets", "list", "shop") == ""
    assert f"by {operator()}, erased" in run("bonafide_secrets", "history", "shop", "maps")
    assert "no secret" in refused("bonafide_secrets", "remove", "shop", "other")


def test_what_is_no_secret_is_refused_in_words(tmp_path: Path) -> None:
    assert "no app" in refused("bonafide_secrets", "set", "none", "maps", stdin=b"x")
    assert "A name is" in refused("bonafide_secrets", "set", "shop", "1", stdin=SECRET.encode())
    assert "not empty" in refused("bonafide_secrets", "set", "shop", "maps", stdin=b"\n")
    assert "UTF-8" in refused("bonafide_secrets", "set", "shop", "maps", stdin=b"\xff")
    assert "at most" in refused("bonafide_secrets", "set", "shop", "maps", stdin=SECRET.encode() * 1000)
    assert "No such file" in refused("bonafide_secrets", "set", "shop", "maps", "--from", str(tmp_path / "none"))
    assert "no identity" in refused("bonafide_secrets", "set", "shop", "maps", "--identity", "X.y", stdin=b"x")
    assert "never had" in refused("bonafide_secrets", "history", "shop", "maps")


def test_no_command_takes_a_value_as_an_argument() -> None:
    with pytest.raises(CommandError, match="unrecognized arguments"):
        run("bonafide_secrets", "set", "shop", "maps", SECRET)


def test_without_the_key_nothing_is_set(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "keys" / "test").mkdir(parents=True, mode=0o700)
    (tmp_path / "keys").chmod(0o700)
    path = tmp_path / "keys" / "test" / "documents.key"
    path.write_bytes(b"short")
    path.chmod(0o600)
    assert "documents.key: not 32 octets" in refused("bonafide_secrets", "set", "shop", "maps", stdin=b"x")


# bonafide_configuration -------------------------------------------------------------------------


def test_configuration_is_json_or_text_public_or_sealed() -> None:
    run("bonafide_configuration", "set", "shop", "limits", stdin=b'{"items": 20}')
    run("bonafide_configuration", "set", "shop", "colour", "--public", "--text", stdin=b"blue")
    run("bonafide_configuration", "set", "shop", "flag", "--public", stdin=b"true")
    assert read(Document.CONFIGURATION) == {
        ValueKind.SEALED: {"limits": {"items": 20}},
        ValueKind.PUBLIC: {"colour": "blue", "flag": True},
    }
    listed = run("bonafide_configuration", "list", "shop")
    assert "colour  public  all identities  none  version 2" in listed
    assert '"blue"' in listed
    assert "items" not in listed
    assert "stands" in run("bonafide_configuration", "history", "shop", "colour")


def test_configuration_is_removed_by_its_kind() -> None:
    for kind in ([], ["--public"]):
        run("bonafide_configuration", "set", "shop", "x", *kind, stdin=b"1")
    run("bonafide_configuration", "remove", "shop", "x", "--public")
    assert read(Document.CONFIGURATION) == {ValueKind.SEALED: {"x": 1}, ValueKind.PUBLIC: {}}
    assert "no such value" in refused("bonafide_configuration", "remove", "shop", "y")


def test_configuration_that_is_no_json_is_refused() -> None:
    for text in (b"blue", b"", b'1,"w":2', b"{"):
        assert "no JSON" in refused("bonafide_configuration", "set", "shop", "x", stdin=text)
    assert "no identity" in refused(
        "bonafide_configuration", "set", "shop", "x", "--public", "--identity", IDENTITY, stdin=b"1"
    )


# bonafide_pins ----------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Iterator[TlsHost]:
    with TlsHost(tmp_path).serving() as serving:
        yield serving


def publish(host: TlsHost, *more: str, spare: str | None = None) -> tuple[str, ...]:
    spare = str(host.spare()[0]) if spare is None else spare
    return (
        "bonafide_pins",
        "publish",
        "shop",
        "--from",
        host.url,
        "--ca-file",
        str(host.ca_file),
        "--spare",
        spare,
        *more,
    )


def published() -> Any:
    newest = pins.newest("test", "shop")
    assert newest is not None
    return pins.document(newest)


def test_what_a_host_shows_is_published_with_a_spare(host: TlsHost) -> None:
    path, spare = host.spare()
    told = run(*publish(host, "--days", "30", spare=str(path)))
    assert published().pins == {HOST: (host.pin, spare)}
    assert "version 1" in told
    assert f"{HOST}  {host.pin}  shown by CN=localhost until" in told
    assert f"{HOST}  {spare}  spare" in told
    assert told == run("bonafide_pins", "show", "shop")
    assert run("bonafide_pins", "list", "shop").startswith("version 1  ")


def test_the_issuers_key_is_pinned_where_that_is_said(host: TlsHost) -> None:
    _, spare = host.spare()
    run(*publish(host, "--issuer", spare=spare))
    assert published().pins == {HOST: (host.ca_pin, spare)}


def test_a_spare_that_is_shown_already_is_none(host: TlsHost) -> None:
    for shown in (host.pin, host.ca_pin):
        assert "is shown by" in refused(*publish(host, spare=shown))
        assert "is shown by" in refused(*publish(host, "--issuer", spare=shown))
    assert not PublishedPins.objects.exists()


def test_the_served_key_is_left_out_when_that_is_said_aloud_alone(host: TlsHost) -> None:
    spares = [host.spare(f"{name}.pem")[1] for name in ("a", "b")]
    told = run(*publish(host, "--without-served-key", "--spare", spares[1], spare=spares[0]))
    assert published().pins == {HOST: tuple(spares)}
    assert f"refuse {HOST} until it shows one of the spares" in told
    assert "two to 16" in refused(*publish(host, "--without-served-key", spare=spares[0]))


def test_the_signed_document_is_what_an_app_takes(host: TlsHost) -> None:
    assert "nothing is published" in refused("bonafide_pins", "show", "shop", "--signed")
    run(*publish(host))
    token = run("bonafide_pins", "show", "shop", "--signed").strip()
    thumbprints = KeySources(conf.current()).service_ring().thumbprints
    now = datetime.now(UTC)
    assert open_pins(token, pinned=thumbprints, app="shop", seen=1, now=now) == published()


def test_a_host_that_shows_none_of_its_pins_any_more_is_not_published_once_more(host: TlsHost) -> None:
    run(*publish(host))
    newest = pins.newest("test", "shop")
    assert newest is not None
    moved = {"moved.example": newest.hosts[HOST]} | newest.hosts
    PublishedPins.objects.update(hosts=moved)
    assert "moved.example" in refused(*publish(host))  # it does not even answer
    assert PublishedPins.objects.count() == 1
    run(*publish(host, "--unseen"))
    assert published().pins.keys() == {"moved.example", HOST}


def test_a_host_whose_key_changed_must_be_published_anew(host: TlsHost) -> None:
    run(*publish(host))
    host.key = ec.generate_private_key(ec.SECP256R1())
    remove_other = ("bonafide_pins", "remove", "shop", "moved.example", "--ca-file", str(host.ca_file))
    newest = pins.newest("test", "shop")
    assert newest is not None
    PublishedPins.objects.update(hosts={"moved.example": newest.hosts[HOST]} | newest.hosts)
    assert f"{HOST} shows none of the keys that are pinned for it" in refused(*remove_other)
    run(*publish(host, "--unseen"))
    run(*remove_other)
    assert published().pins.keys() == {HOST}
    assert published().pins[HOST][0] == host.pin


def test_a_host_is_removed_and_apps_are_told_so(host: TlsHost) -> None:
    run(*publish(host))
    run("bonafide_pins", "remove", "shop", HOST)
    assert (published().version, published().pins) == (2, {})
    assert "no pins of" in refused("bonafide_pins", "remove", "shop", HOST)


def test_what_ends_soon_is_told_with_what_is_published(host: TlsHost) -> None:
    host.days = 20
    assert "publish again" in run(*publish(host))
    assert "publish again" in run("bonafide_pins", "show", "shop")


def test_what_cannot_be_published_is_said_in_words(host: TlsHost) -> None:
    assert "nothing is published" in refused("bonafide_pins", "show", "shop")
    assert "--days is 1 to 365" in refused(*publish(host, "--days", "366"))
    assert "--days is 1 to 365" in refused(*publish(host, "--days", "0"))
    untrusted = publish(host)
    without_ca = tuple(word for word in untrusted if word not in {"--ca-file", str(host.ca_file)})
    assert f"{HOST}:{host.port}" in refused(*without_ca)
    assert "https://host" in refused("bonafide_pins", "publish", "shop", "--from", "http://x", "--spare", "x")
    assert not PublishedPins.objects.exists()
    assert not AuditEvent.objects.exists()
