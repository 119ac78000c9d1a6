"""The shop's URLs, and the endpoints at which its app enrols."""

from __future__ import annotations

import urls_open
from django.urls import include, path

urlpatterns = [
    *urls_open.urlpatterns,
    path("bonafide/v1/", include("bonafide.django.urls")),
]
