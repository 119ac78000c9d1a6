"""The how-tos of what stands behind a gate lock their API when they are followed to the letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import page
from tests.docs.terminals import Terminals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("path", ["docs/how-to/fastapi.md", "docs/how-to/flask.md", "docs/how-to/behind-a-gate.md"])
def test_following_the_page_locks_the_api(path: str, tmp_path: Path, require_program: Callable[..., object]) -> None:
    require_program("nginx", apt="nginx")
    with Terminals(page(path), tmp_path) as reader:
        reader.run()
