"""IPv6 addresses that the kernel holds back, because another host has them: found, and taken into use anyway."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from tests.waiting import until

from lbminion import sysctl
from lbminion.handlers.addresses import HostAddresses
from lbminion.netlink.addresses import Addresses, UnusableAddress
from lbstates.kinds.address import Address
from lbstates.plan import Plan, Resources, diff

if TYPE_CHECKING:
    from tests.netns.conftest import Namespace

VIP = Address("v0", "fd00::200/64")

pytestmark = pytest.mark.needs_root


@pytest.fixture
def contested(netns: Namespace) -> Namespace:
    """A namespace whose v0 shares a link with v1, which has the VIP already and answers for it."""
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    for name in ("v0", "v1"):
        netns.ip("link", "set", name, "up")
    netns.ip("address", "add", VIP.address, "dev", "v1", "nodad")
    return netns


def flags(namespace: Namespace) -> dict[str, object]:
    """What `ip` says about the VIP on v0 ({}: it is not there)."""
    found = json.loads(namespace.ip("-j", "address", "show", "dev", "v0"))[0]["addr_info"]
    return next((entry for entry in found if entry["local"] == "fd00::200"), {})


def observe(namespace: Namespace) -> Resources:
    async def ask() -> Resources:
        async with Addresses() as addresses:
            return await HostAddresses(addresses).observe({"address": {VIP.identity}})

    return namespace.run(asyncio.run, ask())


def apply(namespace: Namespace, plan: Plan) -> None:
    async def act() -> None:
        async with Addresses() as addresses:
            assert await HostAddresses(addresses).apply(plan) == []

    namespace.run(asyncio.run, act())


def until_failed(namespace: Namespace) -> None:
    until(lambda: flags(namespace).get("dadfailed"), lambda: flags(namespace))


@pytest.mark.pitfall("R10")
def test_an_address_that_failed_detection_is_drift_and_is_healed(contested: Namespace) -> None:
    """R10: somebody added it without `nodad`, while another host held it."""
    contested.ip("address", "add", VIP.address, "dev", "v0")
    until_failed(contested)
    found = observe(contested)["address"][VIP.identity]
    assert found == UnusableAddress("v0", "fd00::200/64")
    desired = {"address": {VIP.identity: VIP}}
    plan = diff(desired, observe(contested), {})
    assert [step.describe() for step in plan] == [
        "~ address v0 fd00::200/64: held back by duplicate address detection -> "
    ]
    apply(contested, plan)
    assert flags(contested)["nodad"] is True
    assert "dadfailed" not in flags(contested)
    assert diff(desired, observe(contested), {}) == ()


def test_an_address_that_is_still_being_detected_is_not_usable(contested: Namespace) -> None:
    contested.run(sysctl.write, "net/ipv6/conf/v0/dad_transmits", "600")
    contested.ip("address", "add", "fd00::201/64", "dev", "v0")
    found = observe(contested)["address"]
    assert found["v0 fd00::201/64"] == UnusableAddress("v0", "fd00::201/64")
    assert found["v1 fd00::200/64"] == Address("v1", "fd00::200/64")


def test_a_vip_of_ours_that_failed_can_still_be_taken_away(contested: Namespace) -> None:
    contested.ip("address", "add", VIP.address, "dev", "v0")
    until_failed(contested)
    apply(contested, diff({}, observe(contested), {"address": {VIP.identity: None}}))
    assert flags(contested) == {}


def test_a_vip_on_lo_needs_no_detection(contested: Namespace) -> None:
    """The loopback lets an address pass that was added without `nodad`, as soon as the kernel gets to it."""
    contested.ip("address", "add", "fd00::200/128", "dev", "lo")
    until(lambda: observe(contested)["address"]["lo fd00::200/128"] == Address("lo", "fd00::200/128"))
