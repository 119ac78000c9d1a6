"""The shop's URLs: eight endpoints of the API, and the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from shop import views

urlpatterns = [
    path("api/config", views.config),
    path("api/login", views.login),
    path("api/me", views.me),
    path("api/me/address", views.address),
    path("api/users/<int:user_id>", views.user),
    path("api/orders", views.orders),
    path("api/wallet", views.wallet),
    path("api/statement", views.statement),
    path("admin/", admin.site.urls),
]
