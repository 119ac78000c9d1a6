"""The example imports as a Django project does: from its own top."""

from __future__ import annotations

import sys

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "examples" / "django_api"))
