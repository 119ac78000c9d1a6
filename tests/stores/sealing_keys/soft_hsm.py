"""A SoftHSM token of one test: an HSM in files, behind the same module interface as a real one."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bonafide.stores.sealing_keys import pkcs11_login
from bonafide.stores.sealing_keys.pkcs11_token import Pkcs11SealingKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import RequireProgram

TOKEN = "bonafide"
LABEL = "sealing-1"
PIN = "4711-0815"
_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


@dataclass(frozen=True, slots=True)
class SoftHsm:
    """A token: its module, its configuration, and the file of its PIN."""

    module: Path
    conf: Path
    pin_file: Path

    @property
    def tokens(self) -> Path:
        return self.conf.parent / "tokens"

    def key(self, *, label: str = LABEL, token: str = TOKEN, pin_file: Path | None = None) -> Pkcs11SealingKey:
        return Pkcs11SealingKey(module=self.module, token=token, label=label, pin_file=pin_file or self.pin_file)

    def sessions(self) -> int:
        """Count the sessions of this process that are open. Handles count up from 1, those of objects between them."""
        library, info = ctypes.CDLL(str(self.module)), ctypes.create_string_buffer(64)
        return sum(library.C_GetSessionInfo(ctypes.c_ulong(handle), info) == 0 for handle in range(1, 2000))

    def setting(self, label: str = LABEL) -> dict[str, object]:
        """Return what SEALING_KEY says of this token."""
        return {
            "pkcs11": {
                "module": str(self.module),
                "token": TOKEN,
                "label": label,
                "pin_file": str(self.pin_file),
            }
        }


@dataclass(slots=True)
class WatchedToken:
    """A token as python-pkcs11 has it, which writes down the PINs that it is opened with."""

    token: Any
    tried: list[str]

    @property
    def serial(self) -> object:
        return self.token.serial

    def open(self, *, rw: bool = False, user_pin: str | None = None) -> object:
        if user_pin is None:
            return self.token.open(rw=rw)
        self.tried.append(user_pin)
        return self.token.open(rw=rw, user_pin=user_pin)


@pytest.fixture
def pins_tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the PINs that tokens are asked with from now on."""
    tried: list[str] = []
    find = pkcs11_login.Login._find
    monkeypatch.setattr(pkcs11_login.Login, "_find", lambda login: WatchedToken(find(login), tried))
    return tried


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_program: RequireProgram) -> Iterator[SoftHsm]:
    """Initialise a token below `tmp_path`. The module reads its place anew when it begins, and ends with the test."""
    require_program("softhsm2-util", apt="softhsm2")
    module = next((Path(place) for place in _MODULES if Path(place).exists()), None)
    if module is None:
        pytest.fail("there is no libsofthsm2.so. Type: apt-get install --yes softhsm2", pytrace=False)
    home = tmp_path / "hsm"
    (home / "tokens").mkdir(parents=True)
    conf = home / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    init_token(TOKEN)
    pin_file = home / "pin"
    pin_file.write_text(f"{PIN}\n")
    pin_file.chmod(0o600)
    _begin_anew(module)
    yield SoftHsm(module, conf, pin_file)
    _end(module)


def init_token(label: str) -> None:
    """Initialise another token, as the environment says where."""
    words = ["--label", label, "--so-pin", "so-pin-4711", "--pin", PIN]
    subprocess.run(["softhsm2-util", "--init-token", "--free", *words], check=True, capture_output=True)


def _begin_anew(module: Path) -> None:
    """Make the module read its configuration, also in a process that had another token before."""
    import pkcs11

    pkcs11.lib(str(module)).reinitialize()
    pkcs11_login.end_life(str(module))  # what was opened for another test


def _end(module: Path) -> None:
    import pkcs11

    pkcs11.lib(str(module)).finalize()
