"""sd_notify to a real datagram socket, as systemd would listen on it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbservice.notify import Notifier


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_systemd_is_told(systemd: socket.socket) -> None:
    """Ready with a status, a new status, stopping."""
    notifier = Notifier()
    notifier.ready("serving 5 hosts")
    notifier.status("serving 4 hosts")
    notifier.stopping()
    said = [systemd.recv(1000) for _ in range(3)]
    assert said == [b"READY=1\nSTATUS=serving 5 hosts", b"STATUS=serving 4 hosts", b"STOPPING=1"]


async def test_the_watchdog_is_fed_from_the_event_loop(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """At half the interval that the unit asks for, so that one late beat is not the end."""
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    feeding = asyncio.create_task(Notifier().watchdog())
    loop = asyncio.get_running_loop()
    systemd.setblocking(False)
    begun = loop.time()
    async with asyncio.timeout(10):
        said = [await loop.sock_recv(systemd, 100) for _ in range(5)]
    assert said == [b"WATCHDOG=1"] * 5
    assert loop.time() - begun >= 0.19
    feeding.cancel()


async def test_no_watchdog_is_fed_when_none_watches(systemd: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task ends at once."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await asyncio.wait_for(Notifier().watchdog(), 5)


@pytest.mark.parametrize("where", [None, "", "/nowhere/at/all"])
def test_nothing_happens_without_systemd(monkeypatch: pytest.MonkeyPatch, where: str | None) -> None:
    """Started by hand, or with a socket that is gone: the service runs all the same."""
    if where is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", where)
    notifier = Notifier()
    notifier.ready("on its own")
    notifier.stopping()


def test_an_abstract_socket_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd may name one with @."""
    name = f"lbservice-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Notifier().ready("here")
        assert listener.recv(1000) == b"READY=1\nSTATUS=here"
