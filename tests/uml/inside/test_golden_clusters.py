"""The golden clusters on a real kernel: it takes everything, and reads back as that.

keepalived and the nftables rules are tested in network namespaces: this kernel has no table for both families.

The guest is each of their hosts in turn: it gets that host's addresses, then all of its resources, then none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from tests.states.golden_clusters import FOLDERS, addresses_of, resources_of
from tests.uml.inside import modules
from tests.uml.inside.conftest import run

from lbminion.handlers.addresses import HostAddresses
from lbminion.handlers.gue_ports import HostGuePorts
from lbminion.handlers.handler import Handler, Observed
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.links import TunnelLinks
from lbminion.handlers.modules import Modules
from lbminion.handlers.sync_daemons import SyncDaemons
from lbminion.handlers.sysctls import Sysctls
from lbminion.handlers.timeouts import IpvsTimeouts
from lbminion.modules import BootList, Loader
from lbminion.netlink.addresses import Addresses
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.mark import Mark
from lbstates.kinds.module import Module
from lbstates.kinds.priority import Priority
from lbstates.plan import Plan, Resources, diff, index

CASES = [(folder, host) for folder in FOLDERS for host in resources_of(folder)]
ELSEWHERE = (Clamp, Keepalived, Mark, Priority)


class OneHost:
    """All handlers but keepalived's, that of its priorities and that of packet rules, used as the reconciler does."""

    def __init__(self, addresses: Addresses, folder: Path) -> None:
        ipvs = IpvsTable()
        self.handlers: tuple[Handler, ...] = (
            ipvs,
            Modules(BootList(folder / "lbmaster.conf"), Loader(systemd=False, modprobe="/bin/false")),
            Sysctls(),
            TunnelLinks(),
            HostGuePorts(),
            HostAddresses(addresses),
            IpvsTimeouts(ipvs.table),
            SyncDaemons(ipvs.table),
        )
        self._of = {kind: handler for handler in self.handlers for kind in handler.kinds}

    async def read(self, desired: Resources) -> Resources:
        wanted = {kind: of_kind.keys() for kind, of_kind in desired.items()}
        observed: Observed = {}
        for handler in self.handlers:
            observed |= await handler.observe(wanted)
        return observed

    async def apply(self, plan: Plan) -> None:
        for handler, changes in groupby(plan, key=lambda change: self._of[change.kind]):
            errors = await handler.apply(list(changes))
            assert errors == [], [str(error) for error in errors]

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()


async def _make_and_remove(resources: list[Resource], folder: Path) -> None:
    async with Addresses() as addresses:
        host = OneHost(addresses, folder)
        try:
            desired = index(resources)
            before = await host.read(desired)
            await host.apply(diff(desired, before, {}))
            assert diff(desired, await host.read(desired), {}) == ()
            owned = {kind: {it: before.get(kind, {}).get(it) for it in of_kind} for kind, of_kind in desired.items()}
            await host.apply(diff({}, await host.read(desired), owned))
            after = await host.read(desired)
            left = [it for kind, ids in owned.items() for it, prior in ids.items() if after[kind].get(it) != prior]
            assert left == []
        finally:
            host.close()


@pytest.fixture
def eth1(loaded: None) -> Iterator[str]:
    """A device that can have a host's addresses."""
    run("ip", "link", "add", "eth1", "type", "dummy")
    run("ip", "link", "set", "eth1", "up")
    yield "eth1"
    run("ip", "link", "del", "eth1")
    run("ipvsadm", "-C")


@pytest.mark.pitfall("I8")
@pytest.mark.parametrize(("folder", "host"), CASES, ids=[f"{folder.name}-{host}" for folder, host in CASES])
def test_a_kernel_becomes_every_host_of_every_cluster(folder: Path, host: str, eth1: str, tmp_path: Path) -> None:
    """In the order of the plan; then it is read, and nothing is left to do; then all is taken away again."""
    for address in addresses_of(folder, host):
        length = "64" if ":" in address else "16"
        run("ip", "addr", "add", f"{address}/{length}", "dev", eth1, *(("nodad",) if ":" in address else ()))
    resources = [it for it in resources_of(folder)[host] if not isinstance(it, ELSEWHERE)]
    modules.load(*(it.name for it in resources if isinstance(it, Module)))
    asyncio.run(_make_and_remove(resources, tmp_path))
