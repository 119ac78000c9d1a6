"""The Nginx how-to locks an API that has no middleware when it is followed to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.pages import page
from tests.docs.terminals import Terminals

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import RequireProgram


def test_following_the_page_locks_the_api(tmp_path: Path, require_program: RequireProgram) -> None:
    require_program("nginx", apt="nginx-light")
    require_program("curl", apt="curl")
    with Terminals(page("docs/how-to/nginx.md"), tmp_path) as reader:
        reader.run()
