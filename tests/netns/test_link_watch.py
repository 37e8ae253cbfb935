"""Devices that come, go and change, as the kernel tells of them."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable

import pytest

from lbminion.netlink.link_watch import LinkWatch

from .conftest import Namespace

pytestmark = pytest.mark.needs_root


class Heard:
    """The names that were told, and a way to wait for one."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def until(self, name: str) -> None:
        async with asyncio.timeout(5):
            while name not in self.names:
                await asyncio.sleep(0.001)


def watched(netns: Namespace, body: Callable[[Namespace, Heard], object]) -> Heard:
    """Run `body` with a watch in the namespace."""
    heard = Heard()

    async def run() -> None:
        with LinkWatch(heard.names.append):
            result = body(netns, heard)
            assert asyncio.iscoroutine(result)
            await result

    netns.run(lambda: asyncio.run(run()))
    return heard


def test_a_device_that_is_set_down_and_up_is_told_each_time(netns: Namespace) -> None:
    """Within milliseconds, and once each."""

    async def body(netns: Namespace, heard: Heard) -> None:
        netns.ip("link", "add", "v1", "type", "veth", "peer", "name", "v2")
        netns.ip("link", "set", "v1", "up")
        await heard.until("v1")
        for state in ("down", "up", "down"):
            heard.names.clear()
            netns.ip("link", "set", "v1", state)
            begun = time.monotonic()
            await heard.until("v1")
            assert time.monotonic() - begun < 1

    watched(netns, body)


def test_a_device_that_goes_and_comes_back_is_told(netns: Namespace) -> None:
    """Also under another name: both names are told."""

    async def body(netns: Namespace, heard: Heard) -> None:
        netns.ip("link", "add", "v1", "type", "veth", "peer", "name", "v2")
        await heard.until("v2")
        heard.names.clear()
        netns.ip("link", "set", "v1", "name", "w1")
        await heard.until("w1")
        assert "v1" in heard.names
        heard.names.clear()
        netns.ip("link", "del", "w1")
        await heard.until("v2")
        assert "w1" in heard.names

    watched(netns, body)


def test_what_the_kernel_repeats_is_not_told_again(netns: Namespace) -> None:
    """An alias, a queue length: nothing of that matters here."""

    async def body(netns: Namespace, heard: Heard) -> None:
        netns.ip("link", "add", "v1", "type", "veth", "peer", "name", "v2")
        netns.ip("link", "set", "v1", "alias", "one")
        await heard.until("v1")
        heard.names.clear()
        netns.ip("link", "set", "v1", "alias", "two")
        netns.ip("link", "set", "v2", "mtu", "1400")
        await heard.until("v2")
        assert heard.names == ["v2"]

    watched(netns, body)


def test_a_port_that_leaves_a_bridge_is_not_gone(netns: Namespace) -> None:
    """The kernel says so in the words in which it says that a device is gone."""

    async def body(netns: Namespace, heard: Heard) -> None:
        netns.ip("link", "add", "b1", "type", "bridge")
        netns.ip("link", "add", "v1", "type", "veth", "peer", "name", "v2")
        netns.ip("link", "set", "v1", "master", "b1")
        await heard.until("v1")
        netns.ip("link", "set", "v1", "nomaster")
        netns.ip("link", "set", "v2", "mtu", "1400")
        heard.names.clear()
        await heard.until("v2")
        assert "v1" not in heard.names

    watched(netns, body)


def test_more_changes_than_the_socket_holds_are_told_as_any(netns: Namespace) -> None:
    """Nothing is missed: every device may have changed."""

    async def body(netns: Namespace, heard: Heard) -> None:
        lines = "".join(f"link set v1 mtu {1300 + n % 2}\n" for n in range(2000))
        netns.ip("link", "add", "v1", "type", "veth", "peer", "name", "v2")
        subprocess.run(["ip", "-n", netns.name, "-batch", "-"], input=lines, text=True, check=True, timeout=60)  # noqa: ASYNC221 - the loop shall not read meanwhile
        await heard.until("*")
        netns.ip("link", "set", "v2", "mtu", "1400")
        await heard.until("v2")

    watched(netns, body)


def test_it_watches_until_it_is_closed(netns: Namespace) -> None:
    """Twice is fine, and nothing stays open."""

    async def run() -> None:
        watch = LinkWatch(lambda _name: None)
        watch.open()
        watch.close()
        watch.close()

    netns.run(lambda: asyncio.run(run()))
