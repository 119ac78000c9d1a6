"""What a start tells the operator: where things are, and after the first one what to type and what to paste."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bonafide.django.conf import Settings
    from bonafide.django.service.home import Home
    from bonafide.django.service.service_file import Listener
    from bonafide.keys import ServiceRing


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """The texts. None of them holds a secret: thumbprints are public, and passwords are made by another command."""

    home: Home
    settings: Settings
    ring: ServiceRing
    listen: Listener
    console: Listener
    home_option: str

    def places(self) -> str:
        """Where it listens, and what it is."""
        console = f"{self.console}/admin/" if self.console.socket is None else f"{self.console} (path /admin/)"
        return "\n".join(
            [
                f"Bonafide's control plane: {self.settings.environment}, {', '.join(self.settings.origins)}",
                f"  home      {self.home.path}",
                f"  service   {self.listen}{self.home.says.prefix}",
                f"  console   {console}",
                f"  metrics   {self.console}/metrics, and /readyz",
            ]
        )

    def next_steps(self) -> str:
        """What to do after the first start."""
        return f"{self._commands()}\n\n{self._pins()}\n\n{self._django()}\n\n{self._nginx()}"

    def _commands(self) -> str:
        option = self.home_option
        return "\n".join(
            [
                "",
                "In another terminal:",
                f"  bonafide admin create YOU{option}              # a login for the console",
                f"  bonafide apps add shop{option}",
                f"  bonafide apps identity add shop --team ABCDE12345 --bundle com.example.shop{option}",
                f"  bonafide gates add gate-1 --jwk '…'{option}    # the key that `bonafide gate init` prints",
                f"  bonafide check{option}",
            ]
        )

    def _pins(self) -> str:
        key, spare = self.ring.thumbprints
        return "\n".join(
            [
                "In the app, and as service_keys in gate.toml, pin the service key and its spare:",
                f'  "{key}"',
                f'  "{spare}"',
            ]
        )

    def _django(self) -> str:
        return "\n".join(
            [
                "At the end of the settings of a Django API behind the gate:",
                '  INSTALLED_APPS = [*INSTALLED_APPS, "bonafide.django"]',
                '  MIDDLEWARE = ["bonafide.django.middleware.BonafideMiddleware", *MIDDLEWARE]    # first',
                "  BONAFIDE = {",
                f'      "ENVIRONMENT": "{self.settings.environment}",',
                f'      "ORIGINS": {_list(self.settings.origins)},',
                '      "ROUTES": BASE_DIR / "routes.toml",',
                '      "BEHIND_GATE": {"key_files": ["/etc/bonafide/api.admission.key"]},    # shared with the gate',
                "  }",
            ]
        )

    def _nginx(self) -> str:
        place = f"http://unix:{self.listen.socket}:" if self.listen.socket else str(self.listen)
        prefix = self.home.says.prefix
        return "\n".join(
            [
                "In Nginx, in the server of the API's origin (`bonafide nginx` writes the gate's part):",
                f"  location {prefix}/ {{",
                f"      proxy_pass {place.removesuffix(':') if self.listen.socket else place};",
                "      proxy_set_header Host $http_host;",
                "      proxy_set_header X-Forwarded-For $remote_addr;",
                "      proxy_next_upstream off;",
                "      client_max_body_size 64k;",
                "  }",
            ]
        )


def _list(texts: tuple[str, ...]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"
