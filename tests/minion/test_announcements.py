"""Which VIPs are announced anew, and what happens when that is impossible. Frames on the wire: tests/netns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbminion import announcements
from lbminion.announcements import Announcements, announce, grouped
from lbminion.errors import NoAnswer
from lbstates.kinds.address import Address


def test_vips_are_announced_where_they_are() -> None:
    """Not those that have gone meanwhile, nor those on `lo`."""
    here = {"10.0.0.100": "eth0", "10.0.0.101": "eth1", "fd00::100": "eth0", "10.0.0.102": "lo", "10.0.0.1": "eth0"}
    vips = {"10.0.0.100", "10.0.0.101", "fd00::100", "10.0.0.102", "10.0.0.103"}
    assert grouped(here, vips) == {"eth0": ["10.0.0.100", "fd00::100"], "eth1": ["10.0.0.101"]}


class Kernel:
    """The addresses of a host; `fails` says why they cannot be read."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails: Exception | None = None

    async def dump(self) -> dict[str, Address]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return {"eth0 10.0.0.100/24": Address("eth0", "10.0.0.100/24")}


async def _done(subject: Announcements) -> None:
    assert subject._task is not None
    async with asyncio.timeout(5):
        await subject._task


async def test_each_announcement_is_repeated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for meanwhile follows, and nothing is asked of the host for no VIP at all."""
    sent: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(announcements, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(announcements, "announce", lambda interface, vips: sent.append((interface, list(vips))))
    kernel: Any = Kernel()
    subject = Announcements(kernel)
    subject.begin([])
    assert subject._task is None
    subject.begin(["10.0.0.100/24", "10.0.0.200/24"])
    await asyncio.sleep(0)
    subject.begin(["10.0.0.100/24"])
    await _done(subject)
    assert sent == [("eth0", ["10.0.0.100"])] * 4
    await subject.end()


async def test_a_host_that_cannot_announce_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its kernel does not answer, or it may not open the socket."""
    kernel: Any = Kernel()
    kernel.fails = NoAnswer("the kernel did not answer")
    subject = Announcements(kernel)
    subject.begin(["10.0.0.100/24"])
    await _done(subject)
    assert "cannot be announced anew" in caplog.text
    kernel.fails = None

    def forbidden(*_: object) -> None:
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(announcements, "announce", forbidden)
    subject.begin(["10.0.0.100/24"])
    await _done(subject)
    assert "Operation not permitted" in caplog.text


def test_an_interface_that_is_gone_is_an_error() -> None:
    """Not a silence."""
    with pytest.raises(OSError, match=r"(?i)no such device|not permitted"):
        announce("gone0", ["10.0.0.100"])
