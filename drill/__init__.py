"""Failure drills: real processes are broken under load, and what Bonafide promises about that is measured and shown.

Rules of this package: a drill states its claims, and each is a line that held or did not. What reached the API is
read in the API's own journal; what a client was told is only the second witness.
"""

from __future__ import annotations
