"""A caller above its rate is refused before its body is read."""

from __future__ import annotations

from typing import Any

import pytest

from bonafide.reasons import request as reasons
from tests.django.locked_api import configure, reason, send, unsigned


@pytest.mark.django_db
@pytest.mark.usefixtures("locked", "bonafide_client")
def test_caller_above_the_rate_is_refused_before_anything_else(settings: Any) -> None:
    configure(settings, NETWORK_LIMITS={"challenge": 1})
    answers = [send(unsigned("POST", "/bonafide/v1/challenge", content=b"not read")) for _ in range(20)]
    assert answers[-1].status_code == 429
    assert reason(answers[-1]) == reasons.RATE_EXCEEDED.code
