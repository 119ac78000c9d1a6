"""A home is made once, by whoever is first, for its owner alone; nothing in it is ever replaced."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from bonafide.django.service import home, service_file
from bonafide.django.service.home import Draft, locate, make, read
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons


def refused(call: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refusal:
        call()
    return refusal.value


def test_the_home_is_where_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(None, {}) == tmp_path / "bonafide-home"
    assert locate(None, {"BONAFIDE_HOME": "/srv/bonafide"}) == Path("/srv/bonafide")
    assert locate("elsewhere", {"BONAFIDE_HOME": "/srv/bonafide"}) == tmp_path / "elsewhere"


def test_a_first_start_makes_it_for_its_owner_alone(tmp_path: Path) -> None:
    made, first = make(tmp_path / "home", Draft())
    assert first
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (made.path, *made.path.iterdir())}
    assert modes == {"home": 0o700, "service.toml": 0o600, "secret.key": 0o600, ".lock": 0o600}


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    again, first = make(tmp_path / "home", Draft(environment="production", origins=["https://other.example.com"]))
    assert not first
    assert again.says == made.says
    assert again.secret() == made.secret()


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft(environment="production"), "bonafide.E004: production has an origin without TLS: http://127.0.0.1:8600"),
        (Draft(origins=["https://api.example.com", "http://api.example.com/path"]), "http://api.example.com/path"),
        (Draft(origins=[]), ""),
    ],
)
def test_what_could_not_start_is_not_written(tmp_path: Path, draft: Draft, said: str) -> None:
    assert said in refused(lambda: make(tmp_path / "home", draft)).detail
    assert not (tmp_path / "home").exists()
    assert make(tmp_path / "home", Draft())[1]


def test_the_file_that_is_made_says_what_was_asked_for() -> None:
    draft = Draft(
        environment="staging",
        origins=['https://a.example.com"\nworkers = 9 #', "https://b.example.com"],
        listen="unix:/run/a.sock",
        console_listen="127.0.0.1:9",
    )
    says = service_file.parse(draft.toml())
    assert says.shared["environment"] == "staging"
    assert says.shared["origins"] == ['https://a.example.com"\nworkers = 9 #', "https://b.example.com"]
    assert str(says.listen) == "unix:/run/a.sock"
    assert str(says.console_listen) == "http://127.0.0.1:9"
    assert says.workers == 2


def test_each_commented_key_of_the_file_is_one_that_it_may_have(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    text = (made.path / "service.toml").read_text()
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and " = " in line]
    keys = [line for line in lines if line.split(" = ")[0].isidentifier()]
    assert len(keys) > 15
    (made.path / "service.toml").write_text("\n".join(keys))
    assert read(made.path).says.workers == 2


def test_a_draft_that_would_not_start_is_not_written(tmp_path: Path) -> None:
    refused(lambda: make(tmp_path / "home", Draft(listen="nowhere")))
    assert not (tmp_path / "home").exists()


def test_many_who_start_for_the_first_time_make_one_home(tmp_path: Path) -> None:
    firsts, secrets = [], set()

    def start() -> None:
        made, first = make(tmp_path / "home", Draft())
        firsts.append(first)
        secrets.add(made.secret())

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(firsts), len(firsts), len(secrets)) == (1, 8, 1)


@pytest.mark.parametrize(("name", "mode"), [("", 0o750), ("service.toml", 0o640), ("service.toml", 0o604)])
def test_a_home_that_others_may_touch_is_not_read(tmp_path: Path, name: str, mode: int) -> None:
    made, _ = make(tmp_path / "home", Draft())
    (made.path / name).chmod(mode)
    assert refused(lambda: read(made.path)).reason is reasons.KEYS_UNSAFE


@pytest.mark.parametrize("spoil", ["missing", "short", "open", "link"])
def test_a_secret_that_is_none_is_not_taken(tmp_path: Path, spoil: str) -> None:
    made, _ = make(tmp_path / "home", Draft())
    secret = made.path / "secret.key"
    text = secret.read_text()
    if spoil == "open":
        secret.chmod(0o644)
    else:
        secret.unlink()
    if spoil == "short":
        secret.write_text("guess me")
        secret.chmod(0o600)
    if spoil == "link":
        (tmp_path / "elsewhere").write_text(text)
        (tmp_path / "elsewhere").chmod(0o600)
        secret.symlink_to(tmp_path / "elsewhere")
    assert refused(made.secret).reason is reasons.KEYS_UNSAFE


def test_where_there_is_no_home_the_way_to_one_is_told(tmp_path: Path) -> None:
    assert "`bonafide serve` makes one" in refused(lambda: read(tmp_path / "home")).detail


def test_a_home_without_its_file_is_none(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    (made.path / "service.toml").unlink()
    assert refused(lambda: read(made.path)).reason is reasons.SETTING_MALFORMED


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    (made.path / "service.toml").write_bytes(b"\xff")
    assert refused(lambda: read(made.path)).reason is reasons.SETTING_MALFORMED


def test_a_home_where_nothing_can_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(lambda: make(tmp_path / "file" / "home", Draft())).reason is reasons.KEYS_UNSAFE


def test_paths_of_the_file_begin_at_the_home(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    assert made.bonafide()["KEYS_DIR"] == str(made.path / "keys")
    assert made.bonafide()["REPLAY_STORE"] == f"lmdb:{made.path / 'replay'}"
    file = made.path / "service.toml"
    file.write_text('keys_dir = "a"\nreplay_store = "lmdb:b"\nunsafe_test_anchors = ["c.pem", "/d.pem"]\nworkers = 3')
    settings = read(made.path).bonafide()
    assert settings["KEYS_DIR"] == str(made.path / "a")
    assert settings["REPLAY_STORE"] == f"lmdb:{made.path / 'b'}"
    assert settings["UNSAFE_TEST_ANCHORS"] == [str(made.path / "c.pem"), "/d.pem"]
    assert settings["PROCESSES"] == 3
    file.write_text('keys_dir = 1\nreplay_store = "memory:"')
    settings = read(made.path).bonafide()
    assert (settings["KEYS_DIR"], settings["REPLAY_STORE"]) == (1, "memory:")


def test_the_database_lies_in_the_home(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "home", Draft())
    assert made.database == made.path / "db.sqlite3"
    assert home.VARIABLE == "BONAFIDE_HOME"
    assert made.path.is_absolute()
