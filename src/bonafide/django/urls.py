"""The service's endpoints under one prefix: `path("bonafide/v1/", include("bonafide.django.urls"))`."""

from __future__ import annotations

from django.urls import path

from bonafide.django import document_views, provision_views, views

app_name = "bonafide"

urlpatterns = [
    path("challenge", views.challenge, name="challenge"),
    path("instances", views.instances, name="instances"),
    path("instances/<slug:instance>/renewals", views.renewals, name="renewals"),
    path("jwks.json", views.published_keys, name="jwks"),
    path("secrets", document_views.app_secrets, name="secrets"),
    path("configuration", document_views.configuration, name="configuration"),
    path("pins", document_views.app_pins, name="pins"),
    path("gate", provision_views.gate, name="gate"),
]
