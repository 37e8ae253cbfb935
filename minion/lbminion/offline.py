"""What would change on this host now, without the service and without the master."""

from __future__ import annotations

from lbwire.messages import Step

from .config import Config
from .handlers.keepalived import KeepalivedReader
from .health.verdicts import Verdicts, boot_id
from .holdings import Holdings
from .host import Host
from .ledger import Ledger
from .netlink.addresses import Addresses
from .notes import steps
from .parts import choose_manager_for, keepalived_paths
from .planner import Planner
from .status import masters
from .store import open_store
from .trust import Trust


async def plan_offline(config: Config) -> tuple[Step, ...]:
    """Plan from what is on the disk, verified again; changes and reports nothing. Raises as `Planner` does."""
    connection = open_store(config.state)
    async with Addresses() as addresses:
        paths = keepalived_paths(config, choose_manager_for(config))
        host = Host(addresses, KeepalivedReader(paths), lambda: masters(config.runtime))
        holdings, verdicts = (
            Holdings(connection, Trust(connection, config).stored),
            Verdicts(connection, host.ipvs.in_use, config.name, boot_id()),
        )
        planner = Planner(config.name, host, holdings, Ledger(connection), verdicts)
        try:
            return steps(await planner.plan())
        finally:
            host.close()
            connection.close()
