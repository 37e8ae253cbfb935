"""Addresses of real interfaces, changed and watched in a namespace; `ip` is the independent reader."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from lbminion import sysctl
from lbminion.errors import ChangeError, NoAnswer
from lbminion.netlink.addresses import Addresses, interfaces
from lbminion.netlink.watch import AddressWatch
from lbstates.kinds.address import Address

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.netns.conftest import Namespace

VIP = Address("lo", "172.28.128.200/32")
VIP6 = Address("lo", "2001:db8::200/128")

pytestmark = pytest.mark.needs_root


def in_namespace(namespace: Namespace, action: Callable[[Addresses], Awaitable[object]]) -> object:
    """Await `action` with the addresses of the namespace."""

    async def run() -> object:
        async with Addresses() as addresses:
            return await action(addresses)

    return namespace.run(asyncio.run, run())


def shown(namespace: Namespace, interface: str = "lo") -> list[dict[str, object]]:
    """What `ip` says about the addresses of an interface."""
    return list(json.loads(namespace.ip("-j", "address", "show", "dev", interface))[0]["addr_info"])


def test_an_added_vip_is_seen_by_other_tools_with_its_label(netns: Namespace) -> None:
    in_namespace(netns, lambda addresses: addresses.add(VIP))
    found = [entry for entry in shown(netns) if entry["local"] == "172.28.128.200"]
    assert [(entry["prefixlen"], entry["label"], entry["scope"]) for entry in found] == [(32, "lo:vip", "global")]


@pytest.mark.pitfall("R10")
def test_an_ipv6_vip_is_usable_at_once_without_duplicate_address_detection(netns: Namespace) -> None:
    in_namespace(netns, lambda addresses: addresses.add(VIP6))
    (entry,) = [entry for entry in shown(netns) if entry["local"] == "2001:db8::200"]
    assert entry["prefixlen"] == 128
    assert entry["nodad"] is True
    assert "tentative" not in entry


def test_what_was_added_is_read_and_what_was_deleted_is_gone(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        before = await addresses.dump()
        for vip in (VIP, VIP6):
            await addresses.add(vip)
        assert await addresses.dump() == {**before, VIP.identity: VIP, VIP6.identity: VIP6}
        for vip in (VIP, VIP6):
            await addresses.delete(vip)
        assert await addresses.dump() == before
        assert set(before) == {"lo 127.0.0.1/8", "lo ::1/128"}

    in_namespace(netns, story)


def test_adding_what_is_there_and_deleting_what_is_not_is_fine(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        for vip in (VIP, VIP6):
            await addresses.add(vip)
            await addresses.add(vip)
            await addresses.delete(vip)
            await addresses.delete(vip)

    in_namespace(netns, story)


def test_an_address_that_an_operator_added_without_label_counts_and_can_be_deleted(netns: Namespace) -> None:
    netns.ip("address", "add", "172.28.128.200/32", "dev", "lo")

    async def story(addresses: Addresses) -> None:
        assert VIP.identity in await addresses.dump()
        await addresses.add(VIP)
        await addresses.delete(VIP)
        assert VIP.identity not in await addresses.dump()

    in_namespace(netns, story)


def test_a_vip_with_another_prefix_length_is_another_address(netns: Namespace) -> None:
    netns.ip("address", "add", "172.28.128.200/24", "dev", "lo")
    found = in_namespace(netns, lambda addresses: addresses.dump())
    assert isinstance(found, dict)
    assert "lo 172.28.128.200/24" in found
    assert VIP.identity not in found


def test_of_a_point_to_point_link_the_local_address_is_read(netns: Namespace) -> None:
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    netns.ip("address", "add", "10.9.0.1", "peer", "10.9.0.2/32", "dev", "v0")
    found = in_namespace(netns, lambda addresses: addresses.dump())
    assert isinstance(found, dict)
    assert "v0 10.9.0.1/32" in found


def test_interfaces_are_found_by_address_and_one_outside_the_loopback_comes_first(netns: Namespace) -> None:
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    netns.ip("address", "add", "172.28.128.10/24", "dev", "v0")
    netns.ip("address", "add", "172.28.128.200/24", "dev", "v0")
    netns.ip("address", "add", "172.28.128.200/32", "dev", "lo")
    netns.ip("address", "add", "172.28.128.201/32", "dev", "lo")
    found = in_namespace(netns, lambda addresses: addresses.dump())
    assert isinstance(found, dict)
    assert interfaces(found.values())["172.28.128.10"] == "v0"
    assert interfaces(found.values())["172.28.128.200"] == "v0"
    assert interfaces(found.values())["172.28.128.201"] == "lo"


def test_a_missing_interface_is_named_and_deleting_from_it_is_fine(netns: Namespace) -> None:
    missing = Address("eth7", "10.0.0.1/32")

    async def story(addresses: Addresses) -> ChangeError:
        await addresses.delete(missing)
        with pytest.raises(ChangeError) as caught:
            await addresses.add(missing)
        return caught.value

    error = in_namespace(netns, story)
    assert isinstance(error, ChangeError)
    assert str(error) == "address eth7 10.0.0.1/32: there is no interface 'eth7' (ENODEV)"
    assert error.errno == errno.ENODEV


@pytest.mark.parametrize("address", ["10.0.0.1/33", "10.0.0/24", "", "2001:db8::g/128"])
def test_what_is_no_address_is_refused_by_name(netns: Namespace, address: str) -> None:
    with pytest.raises(ChangeError, match=r"^address lo .*"):
        in_namespace(netns, lambda addresses: addresses.add(Address("lo", address)))


def test_what_the_kernel_refuses_names_the_address_and_the_errno(netns: Namespace) -> None:
    with pytest.raises(ChangeError) as caught:
        in_namespace(netns, lambda addresses: addresses.add(Address("lo", "ff02::1/128")))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert "address lo ff02::1/128: " in str(caught.value)


def test_without_the_capability_the_error_says_what_is_needed(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        os.seteuid(65534)
        try:
            async with Addresses() as unprivileged:
                assert VIP.identity not in await unprivileged.dump()
                with pytest.raises(ChangeError, match="CAP_NET_ADMIN"):
                    await unprivileged.add(VIP)
        finally:
            os.seteuid(0)
        assert VIP.identity not in await addresses.dump()

    in_namespace(netns, story)


def test_an_address_of_another_spelling_is_the_same_address(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        await addresses.add(Address("lo", "2001:DB8:0:0::0200/128"))
        assert VIP6.identity in await addresses.dump()
        await addresses.delete(VIP6)
        assert VIP6.identity not in await addresses.dump()

    in_namespace(netns, story)


def test_several_tasks_may_share_the_addresses(netns: Namespace) -> None:
    vips = [Address("lo", f"10.8.0.{number}/32") for number in range(1, 51)]

    async def story(addresses: Addresses) -> None:
        async with asyncio.TaskGroup() as tasks:
            for vip in vips:
                tasks.create_task(addresses.add(vip))
                tasks.create_task(addresses.dump())
        assert {vip.identity for vip in vips} < set(await addresses.dump())

    in_namespace(netns, story)


def test_a_question_that_was_cancelled_does_not_disturb_the_next(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        for turns in range(6):
            question = asyncio.create_task(addresses.dump())
            for _ in range(turns):
                await asyncio.sleep(0)
            question.cancel()
            await asyncio.gather(question, return_exceptions=True)
            assert set(await addresses.dump()) == {"lo 127.0.0.1/8", "lo ::1/128"}

    in_namespace(netns, story)


def test_a_socket_that_failed_is_said_and_replaced(netns: Namespace) -> None:
    async def story(addresses: Addresses) -> None:
        await addresses.dump()
        ipr = addresses._ipr
        assert ipr is not None
        ipr.status["error"] = OSError(errno.ENOBUFS, "No buffer space available")
        ipr._error_event.set()
        with pytest.raises(NoAnswer, match="No buffer space available"):
            await addresses.dump()
        assert "lo 127.0.0.1/8" in await addresses.dump()

    in_namespace(netns, story)


class Recorder:
    """Collects what a watch tells, and waits until as much was told as is expected."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, identity: str, what: str) -> None:
        """Take one event."""
        self.events.append((identity, what))
        self._news.set()

    async def until(self, count: int) -> list[tuple[str, str]]:
        """Wait for `count` events; more than that is a failure too."""
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self._news.clear()
                await self._news.wait()
        assert len(self.events) == count
        return self.events


def watched(namespace: Namespace, story: Callable[[Recorder, Addresses, AddressWatch], Awaitable[object]]) -> None:
    """Run a coroutine function in the namespace with a watch that runs, and addresses to change."""

    async def run() -> None:
        recorder = Recorder()
        async with Addresses() as addresses, AddressWatch(recorder) as watch, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.run())
            await story(recorder, addresses, watch)
            running.cancel()

    namespace.run(asyncio.run, run())


def test_a_watch_tells_what_appears_and_vanishes_once_and_in_order(netns: Namespace) -> None:
    """In the order of each address: the kernel tells of a new IPv6 address a little later, from a work queue."""

    async def story(recorder: Recorder, addresses: Addresses, _: AddressWatch) -> None:
        for vip in (VIP, VIP6):
            await addresses.add(vip)
            await addresses.add(vip)
        await addresses.delete(VIP)
        events = await recorder.until(3)
        assert [what for identity, what in events if identity == VIP.identity] == ["appeared", "vanished"]
        assert [what for identity, what in events if identity == VIP6.identity] == ["appeared"]

    watched(netns, story)


def test_a_watch_tells_what_happened_between_its_opening_and_its_task(netns: Namespace) -> None:
    async def run() -> None:
        recorder = Recorder()
        async with Addresses() as addresses, AddressWatch(recorder) as watch, asyncio.TaskGroup() as tasks:
            await addresses.add(VIP)
            running = tasks.create_task(watch.run())
            assert await recorder.until(1) == [(VIP.identity, "appeared")]
            running.cancel()

    netns.run(asyncio.run, run())


def test_a_watch_that_cannot_open_leaves_nothing_open(netns: Namespace) -> None:
    async def run() -> None:
        watch = AddressWatch(lambda *_: None)
        await watch._addresses.dump()
        ipr = watch._addresses._ipr
        assert ipr is not None
        ipr.status["error"] = OSError(errno.ENOBUFS, "No buffer space available")
        ipr._error_event.set()
        with pytest.raises(NoAnswer):
            await watch.open()
        assert watch._events is None

    netns.run(asyncio.run, run())


def test_a_watch_does_not_repeat_a_refreshed_lifetime(netns: Namespace) -> None:
    async def story(recorder: Recorder, addresses: Addresses, _: AddressWatch) -> None:
        await addresses.add(VIP)
        for seconds in ("1000", "2000"):
            netns.ip("address", "change", VIP.address, "dev", "lo", "valid_lft", seconds, "preferred_lft", seconds)
        await addresses.delete(VIP)
        assert await recorder.until(2) == [(VIP.identity, "appeared"), (VIP.identity, "vanished")]

    watched(netns, story)


def test_a_watch_follows_interfaces_that_come_are_renamed_and_go(netns: Namespace) -> None:
    netns.run(sysctl.write, "net/ipv6/conf/default/disable_ipv6", "1")  # no link-local addresses among the events

    async def story(recorder: Recorder, _: Addresses, __: AddressWatch) -> None:
        netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
        netns.ip("address", "add", "10.9.0.1/24", "dev", "v0")
        await recorder.until(1)
        netns.ip("link", "set", "v0", "name", "w0")
        await recorder.until(3)
        netns.ip("link", "delete", "w0")
        assert await recorder.until(4) == [
            ("v0 10.9.0.1/24", "appeared"),
            ("v0 10.9.0.1/24", "vanished"), ("w0 10.9.0.1/24", "appeared"),
            ("w0 10.9.0.1/24", "vanished"),
        ]  # fmt: skip

    watched(netns, story)


def test_a_watch_that_was_overrun_reads_the_addresses_anew(
    netns: Namespace, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """More changes than the socket holds: the messages are lost, the differences are told all the same."""
    vips = [Address("lo", f"10.8.{number // 250}.{number % 250 + 1}/32") for number in range(600)]
    batch = tmp_path / "batch"
    batch.write_text("".join(f"address add {vip.address} dev lo\n" for vip in vips))

    async def story(recorder: Recorder, addresses: Addresses, watch: AddressWatch) -> None:
        assert watch._events is not None
        watch._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        netns.ip("-batch", str(batch))  # the event loop stands still meanwhile
        assert {identity for identity, _ in await recorder.until(600)} == {vip.identity for vip in vips}
        assert {what for _, what in recorder.events} == {"appeared"}
        await addresses.delete(vips[0])
        assert (await recorder.until(601))[-1] == (vips[0].identity, "vanished")

    watched(netns, story)
    assert caplog.text.count("reading the addresses anew") == 1


def test_a_watch_is_silent_when_its_task_was_cancelled_and_closes_twice(netns: Namespace) -> None:
    async def run() -> list[tuple[str, str]]:
        recorder = Recorder()
        watch = AddressWatch(recorder)
        await watch.open()
        running = asyncio.create_task(watch.run())
        async with Addresses() as addresses:
            await addresses.add(VIP)
            await recorder.until(1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await addresses.delete(VIP)
            await addresses.dump()
        await watch.close()
        await watch.close()
        return recorder.events

    assert netns.run(asyncio.run, run()) == [(VIP.identity, "appeared")]


def test_what_the_callback_raises_ends_the_watch(netns: Namespace) -> None:
    def refuse(identity: str, _: str) -> None:
        raise RuntimeError(identity)

    async def run() -> None:
        async with Addresses() as addresses, AddressWatch(refuse) as watch:
            await addresses.add(VIP)
            with pytest.raises(RuntimeError, match=VIP.identity):
                await asyncio.wait_for(watch.run(), 10)

    netns.run(asyncio.run, run())
