"""The service's endpoints under one prefix: `path("bonafide/v1/", include("bonafide.django.urls"))`."""

from __future__ import annotations

from django.urls import path

from bonafide.django import provision_views, views

app_name = "bonafide"

urlpatterns = [
    path("challenge", views.challenge, name="challenge"),
    path("instances", views.instances, name="instances"),
    path("instances/<slug:instance>/renewals", views.renewals, name="renewals"),
    path("jwks.json", views.published_keys, name="jwks"),
    path("gate", provision_views.gate, name="gate"),
]
