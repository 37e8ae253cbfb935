"""This host, as the reconciler sees it: facts, what it is, and a way to change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from lbstates.plan import Change, Plan, Resources
from lbstates.resources import HostFacts

from .errors import ChangeError, NoIpvs
from .handlers.addresses import HostAddresses
from .handlers.gue_ports import HostGuePorts
from .handlers.handler import Handler, Observed, Wanted, Watchful
from .handlers.ipvs import IpvsTable
from .handlers.keepalived import KeepalivedReader
from .handlers.links import TunnelLinks
from .handlers.modules import Modules
from .handlers.packet_rules import PacketRules
from .handlers.priorities import Priorities
from .handlers.sync_daemons import SyncDaemons
from .handlers.sysctls import Sysctls
from .handlers.timeouts import IpvsTimeouts
from .keepalived.version import version
from .life import lock_in
from .netlink.addresses import Addresses
from .netlink.mtus import read_mtus


class Host:
    """Owns the handlers of all kinds of resource; a new kind is one line here, as in `lbstates.kinds.registry`."""

    def __init__(
        self,
        addresses: Addresses,
        keepalived: KeepalivedReader,
        masters: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """`masters` names the VRRP instances that are MASTER here now."""
        self._masters = masters
        self._addresses, self._keepalived = HostAddresses(addresses), keepalived
        self._modules = Modules()
        self.ipvs, self._packet_rules = IpvsTable(), PacketRules()
        # IPVS first: its module brings the sysctls below net/ipv4/vs.
        self._handlers: tuple[Handler, ...] = (
            self.ipvs,
            self._modules,
            Sysctls(),
            TunnelLinks(),
            HostGuePorts(),
            self._addresses,
            self._packet_rules,
            IpvsTimeouts(self.ipvs.table),
            SyncDaemons(self.ipvs.table),
            Priorities(keepalived.paths, masters),
            keepalived,
        )
        self._watchful = [handler for handler in self._handlers if isinstance(handler, Watchful)]
        self._handler_of = {kind: handler for handler in self._handlers for kind in handler.kinds}

    async def facts(self, *, packet_rules: bool = False) -> HostFacts:
        """Read what a desired state has to be derived with; `packet_rules`: also whether there can be any.

        Raises `HostError` and `OSError`.
        """
        paths = self._keepalived.paths
        return HostFacts(
            interfaces=await self._addresses.interfaces(),
            keepalived_version=version(paths),
            fifo=str(paths.fifo),
            lock=str(lock_in(paths.runtime)),
            masters=self._masters(),
            mtus=read_mtus(),
            adjustments=str(paths.adjustments),
            no_packet_rules=await self._packet_rules.obstacle() if packet_rules else "",
        )

    async def observe(self, wanted: Wanted) -> Resources:
        """Read what this host has, at least of what is wanted. Raises `HostError`.

        A kernel whose IPVS is a module that is yet to be loaded has an empty table: the plan begins with the module.
        """
        observed: Observed = {}
        for handler in self._handlers:
            try:
                observed |= await handler.observe(wanted)
            except NoIpvs:
                if "ip_vs" not in wanted.get("module", ()):
                    raise
                observed |= {kind: {} for kind in handler.kinds}
        return observed

    async def observe_table(self, wanted: Wanted) -> Resources:
        """Read of the IPVS table alone, whatever ails this host beside. Raises `HostError`."""
        return await self.ipvs.observe(wanted)

    async def check(self, plan: Plan) -> None:
        """Try what can be tried of a plan without changing anything. Raises `ChangeError`."""
        errors = self._modules.check([change for change in plan if change.kind == "module"])
        if errors:
            raise errors[0]
        for change in plan:
            if change.kind == "keepalived":
                await self._keepalived.check(change)

    async def clean_up(self, changes: Iterable[Change]) -> None:
        """Take away what a dead keepalived left, if any of the changes is about keepalived. Raises `HostError`.

        Before anything else: nothing builds on that, and another host has it by now.
        """
        await self._keepalived.clean_up(change for change in changes if change.kind == "keepalived")

    def changed(self, wanted: Wanted, observed: Resources) -> str:
        """Name a kind of which this host is no longer as `observe(wanted)` returned it, "" if there is none. Cheap.

        Addresses, links and the like are not asked for: the kernel tells of them. Raises `HostError` and `OSError`.
        """
        for handler in self._watchful:
            if handler.changed(wanted, observed):
                return handler.kinds[0]
        return ""

    async def apply(self, plan: Plan) -> list[ChangeError]:
        """Make the changes in the order of the plan, neighbours of one handler together.

        After a failure nothing further is put in place: what comes later in the plan builds on what came before.
        """
        for handler, changes in groupby(plan, key=lambda change: self._handler_of[change.kind]):
            errors = await handler.apply(list(changes))
            if errors:
                return errors
        return []

    def respect(self, plan: Plan) -> tuple[Plan, Plan]:
        """Part a plan into what may be done, and what an operator who stopped keepalived does not want done."""
        if not self._keepalived.held:
            return plan, ()
        respected = tuple(change for change in plan if change.kind == "keepalived" and change.after is not None)
        return tuple(change for change in plan if change not in respected), respected

    def release_hold(self) -> None:
        """A push overrules an operator's stop of keepalived."""
        self._keepalived.release_hold()

    @property
    def foreign(self) -> frozenset[str]:
        """IPVS entries that the last observation found and that are of a sort we never make."""
        return self.ipvs.foreign

    def close(self) -> None:
        for handler in self._handlers:
            handler.close()
