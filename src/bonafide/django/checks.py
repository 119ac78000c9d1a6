"""System checks: every configuration that would make the service's promise untrue is named before it is served.

`manage.py check` (and `check --deploy`) reports errors `bonafide.E0xx`, which stop the process, and warnings
`bonafide.W0xx`, which say aloud what a deployment has decided to leave open. Each names the danger and its remedy.
"""

from __future__ import annotations
