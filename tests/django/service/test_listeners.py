"""Where a server may listen, and what it takes over from one that died."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bonafide.django.service.server import require_free
from bonafide.django.service.service_file import Listener
from bonafide.errors import ConfigurationError
from bonafide.reasons import configuration as reasons

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="bonafide-"))  # a socket's path is at most 107 octets
    yield made
    shutil.rmtree(made)


def refused(listener: Listener) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        require_free(listener)
    assert refusal.value.reason is reasons.SETTING_MALFORMED
    return refusal.value.detail


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_refused_also_where_it_would_be_shared(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind((address, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "Address already in use" in refused(Listener(address=address, port=port))
    require_free(Listener(address=address, port=port))


def test_an_address_of_another_host_is_refused() -> None:
    assert "cannot listen on http://192.0.2.1:8600" in refused(Listener(address="192.0.2.1", port=8600))


def test_a_socket_that_somebody_serves_is_refused_and_stays(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(place / "a"))
        taken.listen()
        assert "Address already in use" in refused(Listener(socket=place / "a"))
        assert (place / "a").is_socket()


def test_the_socket_of_a_server_that_died_is_removed(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place / "a"))
    require_free(Listener(socket=place / "a"))
    assert not (place / "a").exists()


def test_a_file_that_is_no_socket_is_refused_and_stays(place: Path) -> None:
    (place / "a").write_text("precious")
    refused(Listener(socket=place / "a"))
    assert (place / "a").read_text() == "precious"


def test_a_socket_that_is_not_there_yet_is_free(place: Path) -> None:
    require_free(Listener(socket=place / "a"))
