"""What the world may reach: the protocol's endpoints, and whether this process lives and may be sent requests."""

from __future__ import annotations

from django.urls import include, path

from bonafide.django.service import health
from bonafide.django.service.settings import HOME

urlpatterns = [
    path(f"{HOME.says.prefix.removeprefix('/')}/", include("bonafide.django.urls")),
    path("healthz", health.lives, name="healthz"),
    path("readyz", health.ready, name="readyz"),
]
