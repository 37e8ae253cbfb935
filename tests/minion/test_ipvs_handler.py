"""handlers.ipvs: whose table is read, and when. (The table is one in memory: what the kernel says is tested in tests/uml.)"""

from __future__ import annotations

import pytest

from lbminion.handlers import ipvs
from lbminion.handlers.ipvs import IpvsTable
from lbminion.netlink.ipvs_table import Snapshot, Statistics, Table
from lbstates.kinds.service import Service

THEIRS = Service("tcp", "10.9.9.9", 80, "rr")
NOTHING: dict[str, frozenset[str]] = {"service": frozenset(), "destination": frozenset(), "module": frozenset()}


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> IpvsTable:
    monkeypatch.setattr(ipvs, "Ipvs", InMemory)
    return IpvsTable()


class InMemory:
    """A kernel's table with one service of somebody else."""

    def snapshot(self) -> Snapshot:
        return Snapshot(Table({THEIRS.identity: THEIRS}, {}, {}), Statistics({}, {}))

    def close(self) -> None:
        """Nothing is held open."""


async def test_a_director_without_services_sees_what_is_in_its_table(table: IpvsTable) -> None:
    """Where the cluster wants the table for itself, the entries of others have to go before it has any of its own."""
    observed = await table.observe(NOTHING | {"module": frozenset({"ip_vs"})})
    assert observed["service"] == {THEIRS.identity: THEIRS}


async def test_a_real_server_has_no_table(table: IpvsTable) -> None:
    """None is opened there: the kernel would load the module."""
    assert await table.observe(NOTHING) == {"service": {}, "destination": {}}
    assert table.snapshot() is None
