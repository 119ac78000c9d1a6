"""Reasons of the area `jose`."""

from __future__ import annotations
