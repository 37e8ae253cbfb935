"""`lbminion` as it is, for a director on a kernel without ip_vs: only the IPVS table is kept in this process's memory.

The development and CI machines' kernel has no ip_vs, and without its table a director cannot converge. So that a cluster
can be pushed there at all, the three doors to ip_vs (the netlink socket, the sysctls below net/ipv4/vs, and the modules)
are replaced by dictionaries. Everything else is the product: link, inbox, reconciler, spool, a real keepalived and its
FIFO.
On a kernel with ip_vs nothing is replaced. What stands in is never what is measured: the figures are those of real
servers, of events and of reactions, in which a table of a few entries costs microseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lbminion import cli, modules, sysctl
from lbminion.errors import ChangeError, NoIpvs
from lbminion.handlers import ipvs as handler
from lbminion.handlers import modules as module_handler
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.ipvs_statistics import DestinationStatistics, ServiceStatistics
from lbminion.netlink.ipvs_table import Snapshot, Statistics, Table
from lbstates.plan import Change
from lbstates.words import SCHEDULERS

_SYSCTLS = "net/ipv4/vs/"
_MODULES = frozenset({"ip_vs", *(f"ip_vs_{name}" for name in SCHEDULERS)})


class MemoryTable:
    """The methods of `Ipvs` that the service uses, on a table in memory whose counters stay zero."""

    def __init__(self) -> None:
        self._table = Table({}, {}, {})

    def close(self) -> None:
        """Nothing is held open."""

    def read(self) -> Table:
        return self._table

    def snapshot(self) -> Snapshot:
        services = dict.fromkeys(self._table.services, ServiceStatistics(*[0] * 10))
        destinations = dict.fromkeys(self._table.destinations, DestinationStatistics(*[0] * 12))
        return Snapshot(self._table, Statistics(services, destinations))

    def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        for change in changes:
            entries = self._table.services if change.kind == "service" else self._table.destinations
            if change.after is None:
                entries.pop(change.identity, None)
            else:
                entries[change.identity] = change.after  # type: ignore[assignment]
        return []


class MemoryList:
    """The methods of `BootList`, without a file that the machine would boot with."""

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def read(self) -> frozenset[str]:
        return self._names

    def write(self, names: Collection[str]) -> None:
        self._names = frozenset(names)


def kernel_has_ipvs() -> bool:
    """Whether a director can be real here."""
    try:
        Ipvs().close()
    except NoIpvs:
        return False
    return True


def _stand_in() -> None:
    values: dict[str, str] = {}
    read, write = sysctl.read, sysctl.write

    def read_value(key: str) -> str:
        return values.get(key, "0") if key.startswith(_SYSCTLS) else read(key)

    def write_value(key: str, value: str) -> None:
        if key.startswith(_SYSCTLS):
            values[key] = value
        else:
            write(key, value)

    loaded = modules.loaded
    modules.loaded = lambda: loaded() | _MODULES  # type: ignore[assignment, misc]
    setattr(module_handler, "BootList", MemoryList)  # noqa: B010 - mypy holds it for private there
    sysctl.read, sysctl.write = read_value, write_value  # type: ignore[assignment]
    setattr(handler, "Ipvs", MemoryTable)  # noqa: B010 - mypy holds it for private there


if __name__ == "__main__":
    if not kernel_has_ipvs():
        _stand_in()
    cli.main()
