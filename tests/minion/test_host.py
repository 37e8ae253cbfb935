"""The host as a whole: its handlers together, on whatever kernel this is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbminion.errors import NoIpvs
from lbminion.handlers.handler import Wanted
from lbminion.handlers.keepalived import KeepalivedReader
from lbminion.host import Host
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.netlink import ipvs
from lbminion.netlink.addresses import Addresses
from lbstates.kinds.kind import Resource
from lbstates.kinds.module import Module
from lbstates.kinds.registry import KINDS
from lbstates.kinds.service import Service
from lbstates.plan import diff, index

WEB = Service("tcp", "10.0.0.1", 80, "rr")
IPVS = Module("ip_vs")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """This host, of which nothing is changed here."""
    async with Addresses() as addresses:
        found = Host(addresses, KeepalivedReader(KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")))
        yield found
        found.close()


def wanted(*resources: Resource) -> Wanted:
    return {kind: of_kind.keys() for kind, of_kind in index(resources).items()}


def kernel_has_ipvs() -> bool:
    try:
        ipvs.Ipvs().close()
    except NoIpvs:
        return False
    return True


async def test_every_kind_has_a_handler(host: Host) -> None:
    """A plan may have a step of each."""
    observed = await host.observe(wanted())
    assert observed.keys() == {kind.name for kind in KINDS}


async def test_a_kernel_without_ipvs_gets_a_plan_that_begins_with_the_module(host: Host) -> None:
    """Else nothing would ever load it. Where nothing is to load it, the host says so, and the way out."""
    observed = await host.observe(wanted(IPVS, WEB))
    assert [change.kind for change in diff(index([IPVS, WEB]), observed, index(()))][-1] == "service"
    if not kernel_has_ipvs():
        assert observed["module"] == {}
        with pytest.raises(NoIpvs, match="modprobe ip_vs"):
            await host.observe(wanted(WEB))


async def test_a_host_of_which_nothing_is_wanted_never_changes(host: Host) -> None:
    """Whatever others do on it."""
    assert host.changed(wanted(), await host.observe(wanted())) == ""
