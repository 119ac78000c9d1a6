"""The control plane as a program: the Django project behind `bonafide serve`, and its home directory.

Two listeners, and a process each, because what the world may reach and what the operator may reach must not
hang on a header. The public one answers the protocol's endpoints and whether the process lives; the
operator's one has the console, the metrics and what exactly is not ready.
"""

from __future__ import annotations
