"""A SoftHSM token of one test: an HSM in files, behind the same module interface as a real one."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require_program: RequireProgram) -> Iterator[SoftHsm]:
    """Initialise a token below `tmp_path`. The module reads its place anew when it begins, and ends with the test."""
    util = require_program("softhsm2-util", apt="softhsm2")
    module = next((Path(place) for place in _MODULES if Path(place).exists()), None)
    if module is None:
        pytest.fail("there is no libsofthsm2.so. Type: apt-get install --yes softhsm2", pytrace=False)
    home = tmp_path / "hsm"
    (home / "tokens").mkdir(parents=True)
    conf = home / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {home / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    label = ["--label", TOKEN, "--so-pin", "so-pin-4711", "--pin", PIN]
    subprocess.run([util, "--init-token", "--free", *label], check=True, capture_output=True)
    pin_file = home / "pin"
    pin_file.write_text(f"{PIN}\n")
    pin_file.chmod(0o600)
    _begin_anew(module)
    yield SoftHsm(module, conf, pin_file)
    _end(module)


def _begin_anew(module: Path) -> None:
    """Make the module read its configuration, also in a process that had another token before."""
    import pkcs11

    pkcs11.lib(str(module)).reinitialize()


def _end(module: Path) -> None:
    import pkcs11

    pkcs11.lib(str(module)).finalize()
