"""Reasons of the area `appraisal`."""

from __future__ import annotations
