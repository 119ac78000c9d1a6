"""An attacker's proxy, as a script for mitmdump: it watches everything, and does what it is told.

It runs in mitmproxy's own environment. The demo writes what to do into `orders.json`, and reads what the
proxy saw and got from `seen.jsonl`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from mitmproxy import ctx, http  # type: ignore[import-not-found]  # it lives in an environment of its own

DIRECTORY = Path(os.environ["MITM_DIRECTORY"])
FORGER_PYTHON = os.environ["MITM_FORGER_PYTHON"]


class Attacker:
    """What this proxy does to what passes."""

    def __init__(self) -> None:
        self._enrolment: dict[str, Any] = {}

    def request(self, flow: http.HTTPFlow) -> None:
        """Change a request on its way to the API."""
        order = json.loads((DIRECTORY / "orders.json").read_text())
        if flow.request.path.endswith("/instances"):
            self._enrolment = json.loads(flow.request.content or b"{}")
        match order["do"]:
            case "change_query":
                flow.request.path = flow.request.path.partition("?")[0] + "?page=2"
            case "change_body":
                flow.request.content = (flow.request.content or b"").replace(b":1}", b":9}")
            case "change_bearer":
                flow.request.headers["authorization"] = order["bearer"]
            case "lead_elsewhere" if flow.request.path == order["path"]:
                flow.request.path = order["to"]
            case "replace_agree_key" if flow.request.path.endswith("/instances"):
                flow.request.content = self._with_own_agree_key(order["agree_jwk"])

    def response(self, flow: http.HTTPFlow) -> None:
        """Change an answer on its way to the app, or have the request sent once more."""
        order = json.loads((DIRECTORY / "orders.json").read_text())
        answer = flow.response
        if answer is None:
            return
        self._note(flow)
        if order["do"] == "replace_session" and flow.request.path.endswith("/instances"):
            members = json.loads(answer.content or b"{}")
            told = {"client_data": self._enrolment["client_data"], "instance": members["instance"]}
            answer.content = json.dumps(members | {"session": _forge("forge_session.py", json.dumps(told))}).encode()
        elif order["do"] == "replace_pins" and flow.request.path.endswith("/pins"):
            members = json.loads(answer.content or b"{}")
            answer.content = json.dumps(members | {"pins": _forge("forge_pins.py", members["pins"])}).encode()
        elif "path" in order and flow.request.path == order["path"]:
            _spoil(answer, order, flow.request.headers.get("signature-input", ""))
        elif order["do"] == "repeat" and flow.is_replay is None:
            ctx.master.commands.call("replay.client", [flow.copy()])

    def _with_own_agree_key(self, agree_jwk: dict[str, str]) -> bytes:
        client_data = json.loads(base64.urlsafe_b64decode(self._enrolment["client_data"] + "=="))
        changed = json.dumps(client_data | {"agree_jwk": agree_jwk}).encode()
        encoded = base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        return json.dumps(self._enrolment | {"client_data": encoded}).encode()

    def _note(self, flow: http.HTTPFlow) -> None:
        answer = flow.response
        assert answer is not None  # noqa: S101 - the caller has looked
        seen = {
            "path": flow.request.path,
            "again": flow.is_replay == "request",
            "request": str(flow.request.headers) + repr(flow.request.content),
            "status": answer.status_code,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "body": base64.b64encode(answer.content or b"").decode(),
        }
        with (DIRECTORY / "seen.jsonl").open("a") as lines:
            lines.write(json.dumps(seen) + "\n")


def _forge(script: str, told: str) -> str:
    """Have a script beside this one forge something, in the environment that has Bonafide."""
    command = [FORGER_PYTHON, str(Path(__file__).with_name(script))]
    return subprocess.run(command, input=told, capture_output=True, check=True, text=True).stdout


def _spoil(answer: http.Response, order: dict[str, Any], proof: str) -> None:
    """Do to the answer to one path what was ordered; the octets come from outside, where they were thought out."""
    match order["do"]:
        case "change_status":
            answer.status_code = order["status"]
        case "change_content_type":
            answer.headers["content-type"] = order["content_type"]
        case "add_fields":
            answer.headers.update(order["headers"])
        case "cut":
            answer.content = (answer.raw_content or b"")[: order["octets"]]
        case "swap_records":
            octets, begin, size = answer.raw_content or b"", order["begin"], order["size"]
            first, second = octets[begin : begin + size], octets[begin + size : begin + 2 * size]
            answer.content = octets[:begin] + second + first + octets[begin + 2 * size :]
        case "sign_again_then" if "hmac-sha256" in proof:
            answer.status_code = 401
            answer.headers = http.Headers(content_type="application/json", bonafide_action="sign_again")
            answer.content = b"{}"
        case "put_in" | "sign_again_then":
            answer.status_code = order["status"]
            answer.headers = http.Headers((name.encode(), value.encode()) for name, value in order["headers"].items())
            answer.content = base64.b64decode(order["body"])


addons = [Attacker()]
