"""Secrets, configuration and pins reach the instance that they are for, and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.utils import timezone

from bonafide.django import runtime
from bonafide.django.documents import values
from bonafide.django.documents.values import NewValue
from bonafide.django.models import App, Delivery, ValueKind

if TYPE_CHECKING:
    from bonafide.testing.client import AppClient

pytestmark = pytest.mark.usefixtures("locked")


def test_an_app_gets_its_secrets(bonafide_client: AppClient) -> None:
    key = runtime.current().keys.document_key()
    values.set_value(
        App.objects.get(),
        NewValue(kind=ValueKind.SECRET, name="maps", value="a-secret-of-maps"),
        key=key,
        by="x",
        now=timezone.now(),
    )
    got = bonafide_client.secrets()
    assert got.secrets == {"maps": "a-secret-of-maps"}
    assert got.validity.version == 1
    assert Delivery.objects.get().count == 1
    c = bonafide_client.configuration()
    assert c.public.values == {}
    assert c.sealed is not None
