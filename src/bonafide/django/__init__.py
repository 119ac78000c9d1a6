"""The control plane in Django, and the half of the data plane that lives inside the API's own process.

In INSTALLED_APPS: `"bonafide.django"`. Rule of this file: it imports nothing, so that naming the app
never loads a model before the registry is ready.
"""

from __future__ import annotations
