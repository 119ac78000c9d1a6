"""What the operator may reach: the console, the metrics, and what exactly is not ready."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from bonafide.django.service import health, metrics

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="index"),
    path("admin/", admin.site.urls),
    path("healthz", health.lives, name="healthz"),
    path("readyz", health.explained, name="readyz"),
    path("metrics", metrics.exposition, name="metrics"),
]
