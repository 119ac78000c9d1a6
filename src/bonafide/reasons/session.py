"""Reasons of the area `session`."""

from __future__ import annotations
