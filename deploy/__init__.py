"""The whole of it on one machine, with real processes: what `python -m deploy` starts, and drills and soak play with.

Rule of this package: whatever is started is started here, in a process group of its own, and ended by its id.
"""

from __future__ import annotations
