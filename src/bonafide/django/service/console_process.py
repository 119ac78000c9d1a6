"""The operator's listener as a program: `python -m bonafide.django.service.console_process ADDRESS PARENT`.

`bonafide serve` starts it, keeps it running and ends it; PARENT is its process id.
"""

from __future__ import annotations

import os
import sys

from bonafide.django.service import home, server, service_file


def main(address: str, parent: str) -> None:
    """Serve the console of the home that the environment names on `address`."""
    says = home.read(home.locate(None, os.environ)).says
    server.serve_console(service_file.listener.read(address), stop_within=says.stop_within, parent=int(parent))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
