# noqa: INP001 - a directory of PYTHONPATH, and no package
"""Python imports this at its start where a drill gives a program another clock (`drill.clocks.shift`).

Python sleeps until a moment of the monotonic clock, which Debian's libfaketime misunderstands where that clock is the
true one; and where it is not, waits for other threads never end. So the clock stays the true one, and who sleeps waits
for nothing in particular.
"""

from __future__ import annotations

import select
import time
from typing import SupportsIndex


def _sleep(seconds: SupportsIndex | float, /) -> None:
    ends = time.monotonic() + float(seconds)
    while True:
        select.select([], [], [], max(0.0, ends - time.monotonic()))
        if time.monotonic() >= ends:
            return


time.sleep = _sleep
