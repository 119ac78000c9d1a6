"""A soak sends the demo's attacks, which import from the example's own top."""

from __future__ import annotations

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "examples" / "django_api"))
