"""What would change on this host now, without the service and without the master."""

from __future__ import annotations

from lbwire.messages import Step

from .config import Config
from .handlers.keepalived import KeepalivedReader
from .holdings import Holdings
from .host import Host
from .ledger import Ledger
from .netlink.addresses import Addresses
from .notes import steps
from .parts import choose_manager_for, keepalived_paths, trusted_keys
from .planner import Planner
from .status import masters
from .store import open_store


async def plan_offline(config: Config) -> tuple[Step, ...]:
    """Plan from what is on the disk, verified again; changes and reports nothing. Raises as `Planner` does."""
    connection = open_store(config.state)
    async with Addresses() as addresses:
        paths = keepalived_paths(config, choose_manager_for(config))
        host = Host(addresses, KeepalivedReader(paths), lambda: masters(config.runtime))
        planner = Planner(config.name, host, Holdings(connection, trusted_keys(config)), Ledger(connection))
        try:
            return steps(await planner.plan())
        finally:
            host.close()
            connection.close()
