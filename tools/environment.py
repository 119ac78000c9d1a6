"""Make or refresh one virtual environment from its hash-locked requirements, quickly when nothing changed.

Run by the Makefile with the system's Python 3.11, before anything is installed, so only the standard
library is used. A stamp inside the environment holds a digest of everything it was made from; two
makes at once take turns by a file lock.

    python3.11 tools/environment.py .venv requirements/dev.txt --editable
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WANTED = (3, 11)
STAMP = "bonafide.stamp"
VENV_MISSING = "This Python cannot make virtual environments. Type: apt-get install --yes python3-venv"


def digest_of(sources: list[Path]) -> str:
    """Return what the environment is made from as one digest: Python's own version and the files' bytes."""
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def run(*command: str | Path) -> None:
    """Run a command of this set-up, and stop with its own exit status where it fails."""
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status)


def make(environment: Path, lock: Path, *, editable: bool) -> None:
    """Bring `environment` to the state that `lock` describes."""
    sources = [lock, Path(__file__).resolve()]
    if editable:
        sources.append(ROOT / "pyproject.toml")  # entry points and metadata live in the installed copy
    wanted, stamp, python = digest_of(sources), environment / STAMP, environment / "bin" / "python"
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Making {environment.name} from {lock.relative_to(ROOT)}", flush=True)
    stamp.unlink(missing_ok=True)
    if not usable(python):
        if importlib.util.find_spec("ensurepip") is None:
            sys.exit(VENV_MISSING)
        run(sys.executable, "-m", "venv", "--clear", environment)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "-qq")
    run(*pip, "install", "--require-hashes", "--requirement", lock)
    if editable:
        run(*pip, "install", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    stamp.write_text(wanted)


def usable(python: Path) -> bool:
    """Tell whether this interpreter starts, has pip, and is the Python that runs this."""
    if not python.exists():
        return False
    probe = f"import pip, sys; sys.exit(sys.version != {sys.version!r})"
    return subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def main() -> None:
    """Parse the command line, take the lock, make the environment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument("lock")
    parser.add_argument("--editable", action="store_true", help="install this project into it as well")
    options = parser.parse_args()
    if sys.version_info[:2] != WANTED:
        sys.exit(
            f"Python {WANTED[0]}.{WANTED[1]} is wanted, this is {sys.version.split()[0]}. Try: make PYTHON=python3.11"
        )
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with (build / f"{options.environment.strip('.')}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        make(ROOT / options.environment, ROOT / options.lock, editable=options.editable)


if __name__ == "__main__":
    main()
