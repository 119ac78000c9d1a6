"""What a first start prints is pasted by people: Nginx takes its lines, and a Django project its settings."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from bonafide.stores.admission_keys import create_admission_key
from tests.django.service.running import RunningService, environment
from tests.gate.proxies.programs import nginx

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram

KEY_FILE = "/etc/bonafide/api.admission.key"
"""Where the printed settings have it; a test has no rights there."""


@pytest.fixture(params=["http", "unix"])
def listen(request: pytest.FixtureRequest) -> str:
    return "127.0.0.1:8600" if request.param == "http" else "unix:/run/bonafide/service.sock"


def printed(place: Path, *words: str) -> str:
    words = ("--environment", "production", "--origin", "https://api.example.com", *words)
    return RunningService(home=place / "home").run("serve", "--init", *words)


def block(text: str, heading: str) -> str:
    """Return the indented lines below a heading."""
    _, _, rest = text.partition(heading)
    lines = rest.splitlines()[1:]
    taken = lines[: next((at for at, line in enumerate(lines) if not line.startswith("  ")), len(lines))]
    assert taken, text
    return dedent("\n".join(taken))


def test_nginx_takes_the_lines_that_are_printed_for_it(
    tmp_path: Path, listen: str, require_program: RequireProgram
) -> None:
    location = block(printed(tmp_path, "--listen", listen), "In Nginx, in the server")
    program = nginx(
        require_program("nginx", apt="nginx"),
        tmp_path,
        http="log_format bonafide $uri;",
        servers=f"server {{ listen 127.0.0.1:8443;\n{location}\n}}",
        ports=(),
    )
    done = subprocess.run([*program.command, "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + location
    assert "test is successful" in done.stderr
    assert "[warn]" not in done.stderr


def test_a_django_project_takes_the_settings_that_are_printed_for_it(tmp_path: Path) -> None:
    settings = block(printed(tmp_path), "At the end of the settings of a Django API")
    assert KEY_FILE in settings
    project = tmp_path / "work"
    project.mkdir()
    manage(project, "-m", "django", "startproject", "project", ".")
    create_admission_key(tmp_path / "api.admission.key", random=os.urandom)
    (project / "routes.toml").write_text('[[route]]\nmatch = "/**"\n')
    with (project / "project" / "settings.py").open("a") as file:
        file.write(settings.replace(KEY_FILE, str(tmp_path / "api.admission.key")))
        file.write('\nDEBUG = False\nALLOWED_HOSTS = ["api.example.com"]\n')
    manage(project, "manage.py", "check")


def manage(project: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
