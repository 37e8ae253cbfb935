"""Every kind of resource that a state can name is read and written by one handler."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lbminion.handlers.keepalived import KeepalivedReader
from lbminion.host import Host
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.netlink.addresses import Addresses
from lbstates.kinds.registry import KINDS


def test_every_kind_has_one_handler(tmp_path: Path) -> None:
    host = Host(Addresses(), KeepalivedReader(KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")))
    handled = Counter(kind for handler in host._handlers for kind in handler.kinds)
    assert handled == Counter(kind.name for kind in KINDS)
    host.close()


async def test_a_host_of_which_nothing_is_wanted_is_asked_for_nothing_but_its_addresses(tmp_path: Path) -> None:
    """A real server needs neither IPVS nor nft, and a director no tunnels."""
    async with Addresses() as addresses:
        host = Host(addresses, KeepalivedReader(KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")))
        observed = await host.observe({kind.name: set() for kind in KINDS})
        assert {kind: found for kind, found in observed.items() if found and kind != "address"} == {}
        assert observed.keys() == {kind.name for kind in KINDS}
        host.close()
