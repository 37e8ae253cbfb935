"""Devices of a real namespace: read, set up and down; `ip` is the reader that is not ours. (Tunnels: tests/uml.)"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lbminion.errors import ChangeError
from lbminion.handlers.gue_ports import HostGuePorts
from lbminion.handlers.links import TunnelLinks
from lbminion.netlink.links import Links, LinkState
from lbstates.kinds.link import Link
from lbstates.plan import Change

if TYPE_CHECKING:
    from tests.netns.conftest import Namespace

pytestmark = pytest.mark.needs_root


def test_a_device_is_read_set_up_and_set_down(netns: Namespace) -> None:
    netns.ip("link", "add", "v0.100", "type", "veth", "peer", "name", "v1")
    links = netns.run(Links)
    assert links.read("v0.100") == LinkState("veth", up=False)
    links.set_up("v0.100")
    assert links.read("v0.100") == LinkState("veth", up=True)
    assert "UP" in netns.ip("-o", "link", "show", "dev", "v0.100").partition(">")[0]
    links.set_down("v0.100")
    assert links.read("v0.100") == LinkState("veth", up=False)
    links.close()


def test_other_settings_of_a_device_stay_as_they_are(netns: Namespace) -> None:
    netns.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
    netns.ip("link", "set", "v0", "mtu", "1300", "arp", "off", "promisc", "on", "alias", "uplink")
    before = netns.ip("-d", "link", "show", "dev", "v0").split(">", 1)[0]
    links = netns.run(Links)
    links.set_up("v0")
    shown = netns.ip("-d", "link", "show", "dev", "v0")
    assert "mtu 1300" in shown
    assert "alias uplink" in shown
    assert {"NOARP", "PROMISC"} <= set(shown.partition("<")[2].partition(">")[0].split(","))
    links.set_down("v0")
    assert set(netns.ip("-d", "link", "show", "dev", "v0").split(">", 1)[0].split(",")) == set(before.split(","))
    links.close()


@pytest.mark.parametrize("name", ["nowhere0", "", "a\0b", "x" * 16, "../lo", "lo "])
def test_what_is_no_device_is_said(netns: Namespace, name: str) -> None:
    links = netns.run(Links)
    assert links.read(name) is None
    links.set_down(name)
    with pytest.raises(ChangeError, match="link"):
        links.set_up(name)
    links.close()


def test_a_device_that_is_not_there_or_of_another_sort_is_not_up(netns: Namespace) -> None:
    netns.ip("link", "add", "tunl9", "type", "veth", "peer", "name", "v1")
    netns.ip("link", "set", "tunl9", "up")
    handler = TunnelLinks()
    wanted = {"link": {"tunl9", "gre9"}}
    found = netns.run(asyncio.run, handler.observe(wanted))
    assert found == {"link": {}}
    assert not netns.run(handler.changed, wanted, found)
    changes = [Change("link", "add", name, after=Link(name, "ipip")) for name in ("tunl9", "gre9")]
    errors = netns.run(asyncio.run, handler.apply(changes))
    assert [str(error) for error in errors] == [
        "link tunl9: is a device of the sort veth, not ipip: rename it, and load the module anew",
        "link gre9: is not there: it comes with the kernel module of ipip",
    ]
    handler.close()


def test_without_fou_in_the_kernel_there_are_no_ports(netns: Namespace) -> None:
    """Closing one that cannot be there is fine; this machine's kernel has no fou."""
    handler = HostGuePorts()
    found = netns.run(asyncio.run, handler.observe({"gue_port": {"ipv4 udp 6080"}}))
    assert found == {"gue_port": {}}
    assert not netns.run(handler.changed, {"gue_port": {"ipv4 udp 6080"}}, found)
    handler.close()
