"""Which VIPs are announced anew, and what happens when that is impossible. Frames on the wire: tests/netns."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

import pytest

from lbminion import announcements
from lbminion.announcements import Announcements, grouped
from lbminion.errors import NoAnswer
from lbminion.netlink.addresses import UnusableAddress
from lbstates.kinds.address import Address

WEB, MAIL, WEB6 = Address("eth0", "10.0.0.100/24"), Address("eth1", "10.0.1.100/24"), Address("eth0", "fd00::100/64")


def _here(*addresses: Address) -> dict[str, Address]:
    return {address.identity: address for address in addresses}


def test_vips_are_announced_where_they_are() -> None:
    """By their own interface, though another one has them, too."""
    here = _here(WEB, MAIL, WEB6, Address("dummy0", "10.0.0.100/24"), Address("eth0", "10.0.0.1/24"))
    assert grouped([WEB, MAIL, WEB6], here) == {"eth0": ["10.0.0.100", "fd00::100"], "eth1": ["10.0.1.100"]}


def test_vips_that_do_not_serve_are_not_announced() -> None:
    """Those that have gone meanwhile, are somewhere else, or are held back by duplicate address detection."""
    here = _here(Address("lo", "10.0.0.100/24"), UnusableAddress("eth0", "fd00::100/64"))
    assert grouped([WEB, MAIL, WEB6], here) == {}


class Director:
    """A host with one VIP of the instance www; `fails` says why its addresses cannot be read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.vips = {"www": [WEB]}
        self.fails: Exception | None = None
        self.sent: list[tuple[str, list[str]]] = []
        self.refused: list[str] = []
        self.rounds = asyncio.Queue[None]()
        addresses: Any = self
        self.subject = Announcements(addresses, self._of)
        monkeypatch.setattr(announcements, "AGAIN_SECONDS", 0.01)
        monkeypatch.setattr(announcements, "announce", self._announce)

    async def dump(self) -> dict[str, Address]:
        if self.fails is not None:
            raise self.fails
        return _here(WEB, MAIL)

    def _of(self, instances: Collection[str]) -> list[Address]:
        self.rounds.put_nowait(None)
        return [vip for name in sorted(instances) for vip in self.vips.get(name, [])]

    def _announce(self, interface: str, addresses: Iterable[str]) -> list[str]:
        self.sent.append((interface, list(addresses)))
        return self.refused

    async def done(self) -> None:
        assert self.subject._task is not None
        async with asyncio.timeout(5):
            await self.subject._task


@pytest.fixture
def director(monkeypatch: pytest.MonkeyPatch) -> Director:
    return Director(monkeypatch)


async def test_each_announcement_is_repeated_once(director: Director) -> None:
    """What is asked for meanwhile follows; for no instance at all nothing is begun."""
    director.subject.begin([])
    assert director.subject._task is None
    director.subject.begin(["www"])
    await director.rounds.get()
    director.subject.begin(["www", "gone"])
    await director.done()
    assert director.sent == [("eth0", ["10.0.0.100"])] * 4


async def test_it_is_not_repeated_by_who_is_master_no_longer(director: Director) -> None:
    """Another director may have announced the VIP in the second between the two."""
    director.subject.begin(["www"])
    await director.rounds.get()
    director.vips = {}
    await director.done()
    assert director.sent == [("eth0", ["10.0.0.100"])]


async def test_a_host_that_cannot_announce_says_so_and_goes_on(
    director: Director, caplog: pytest.LogCaptureFixture
) -> None:
    """Its kernel does not answer, or refuses; what one round fails at, the next one tries."""
    director.fails = NoAnswer("the kernel did not answer")
    director.subject.begin(["www"])
    await director.done()
    assert caplog.text.count("cannot be announced anew") == 2
    director.fails, director.refused = None, ["10.0.0.100 cannot be announced on eth0: Operation not permitted"]
    director.subject.begin(["www"])
    await director.done()
    assert caplog.text.count("Operation not permitted: clients may ask another director") == 2


async def test_what_is_under_way_ends_with_the_service(director: Director, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also between the two rounds."""
    monkeypatch.setattr(announcements, "AGAIN_SECONDS", 3600)
    await director.subject.end()
    director.subject.begin(["www"])
    async with asyncio.timeout(5):
        while not director.sent:
            await asyncio.sleep(0)
    await director.subject.end()
    assert director.subject._task is not None
    assert director.subject._task.cancelled()
