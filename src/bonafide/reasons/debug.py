"""Reasons of the area `debug`."""

from __future__ import annotations
