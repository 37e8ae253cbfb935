"""A LAN of network namespaces in the guest: a client, a director and two real servers.

Each becomes what a cluster file makes of it, by the product's own handlers; the director's VIPs, which keepalived would
bring, are put there by hand.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import threading
from itertools import groupby

from tests.netns.conftest import Namespace
from tests.uml.inside import modules
from tests.uml.inside.conftest import run

from lbminion import sysctl
from lbminion.handlers.addresses import HostAddresses
from lbminion.handlers.handler import Handler
from lbminion.handlers.ipvs import IpvsTable
from lbminion.handlers.links import TunnelLinks
from lbminion.handlers.packet_rules import PacketRules
from lbminion.handlers.sysctls import Sysctls
from lbminion.netlink.addresses import Addresses
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.facts import HostFacts
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.kinds.module import Module
from lbstates.plan import Plan, Resources, diff, index
from lbstates.resources import resources_for

VIP, VIP6 = "10.77.0.200", "fd77::200"
NUMBERS = {"client": 1, "r1": 10, "r2": 20, "d1": 30}
PORTS = (80, 443, 8080)
INTERFACE = "e0"
MTU = 1500


class Host:
    """A namespace on the LAN. `owned` is what was made there, and is taken away when it is no longer desired."""

    def __init__(self, name: str, bridge: str) -> None:
        self.name, self.namespace = name, Namespace()
        self.addresses = f"10.77.0.{NUMBERS[name]}", f"fd77::{NUMBERS[name]}"
        self._owned: list[Resource] = []
        outer = f"v{secrets.token_hex(4)}"
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", INTERFACE, "netns", self.namespace.name)
        run("ip", "link", "set", outer, "master", bridge, "up")
        self.namespace.ip("link", "set", INTERFACE, "up")
        self.give(*self.addresses)

    def give(self, *addresses: str, preferred: bool = True) -> None:
        """Put addresses on the interface. One that is not preferred is no source of what the host itself sends."""
        for address in addresses:
            how = ("64", "nodad", *(() if preferred else ("preferred_lft", "0"))) if ":" in address else ("24",)
            self.namespace.ip("address", "add", f"{address}/{how[0]}", "dev", INTERFACE, *how[1:])

    def take(self, address: str) -> None:
        """Take an address of this family's usual length off the interface."""
        self.namespace.ip("address", "del", f"{address}/{64 if ':' in address else 24}", "dev", INTERFACE)

    def command(self, *command: str) -> str:
        """Run a program as an operator of this host does, and return what it prints."""
        return run("ip", "netns", "exec", self.namespace.name, *command)

    def become(self, cluster: str) -> list[str]:
        """Make it what the cluster file says, less what it was and is no longer; return the plan as a user reads it.

        Then nothing is left to do.
        """
        return self.make(self._desired(cluster))

    def make(self, desired: list[Resource]) -> list[str]:
        """Do that with what a cluster file would be made of."""
        plan = self.namespace.run(asyncio.run, self._apply(desired))
        self._owned = desired
        return [step.describe() for step in plan]

    def _desired(self, cluster: str) -> list[Resource]:
        facts = HostFacts(dict.fromkeys(self.addresses, INTERFACE), "2.2.7", "/run/fifo", mtus={INTERFACE: MTU})
        states = compile_cluster(parse(cluster, "cluster.yaml")).values()
        resources = [
            it for state in states if self.name in state.hosts for it in resources_for(state, self.name, facts)
        ]
        modules.load(*(it.name for it in resources if isinstance(it, Module)))
        return [it for it in resources if not isinstance(it, Module | Keepalived)]

    async def _apply(self, desired: list[Resource]) -> Plan:
        async with Addresses() as addresses:
            handlers = (Sysctls(), TunnelLinks(), HostAddresses(addresses), PacketRules(), IpvsTable())
            handler_of: dict[str, Handler] = {kind: handler for handler in handlers for kind in handler.kinds}
            try:
                plan = await self._plan(handlers, desired)
                for handler, changes in groupby(plan, key=lambda change: handler_of[change.kind]):
                    errors = await handler.apply(list(changes))
                    assert errors == [], [str(error) for error in errors]
                assert await self._plan(handlers, desired) == ()
                return plan
            finally:
                for handler in handlers:
                    handler.close()

    async def _plan(self, handlers: tuple[Handler, ...], desired: list[Resource]) -> Plan:
        goal, owned = index(desired), index(self._owned)
        observed: Resources = {}
        for handler in handlers:
            observed = {
                **observed,
                **await handler.observe({kind: {**goal[kind], **owned[kind]}.keys() for kind in goal}),
            }
        return diff(goal, observed, {kind: dict.fromkeys(of_kind) for kind, of_kind in owned.items()})

    def serve(self, port: int) -> socket.socket:
        """Answer everybody on a port: read until the client has said all, then say who this is and how much it was."""
        server = self.namespace.run(
            lambda: socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        )

        def answer(connection: socket.socket) -> None:
            with connection:
                size = 0
                while data := connection.recv(65536):
                    size += len(data)
                connection.sendall(f"{self.name} {port} {size}".encode())

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return server

    def connect(self, address: str, port: int, seconds: float = 10) -> socket.socket:
        """Connect from here. Raises `OSError`, a `TimeoutError` when there is no answer."""
        return self.namespace.run(lambda: socket.create_connection((address, port), seconds))

    def ask(self, address: str, port: int, size: int = 0, seconds: float = 10) -> str:
        """Say so many bytes from here, and return the answer."""
        with self.connect(address, port, seconds) as connection:
            connection.sendall(bytes(size))
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(100).decode()


class Lan:
    """The four hosts, the VIPs on the director, and nothing of a cluster yet."""

    def __init__(self) -> None:
        self._bridge = f"b{secrets.token_hex(4)}"
        run("ip", "link", "add", self._bridge, "type", "bridge")
        run("ip", "link", "set", self._bridge, "up")
        self.client, self.director, *self.real_servers = (
            Host(name, self._bridge) for name in ("client", "d1", "r1", "r2")
        )
        # Time stamps would be taken off every segment size.
        self.client.namespace.run(sysctl.write, "net/ipv4/tcp_timestamps", "0")
        self.director.give(VIP, VIP6, preferred=False)
        self._servers = [host.serve(port) for host in self.real_servers for port in PORTS]

    def become(self, cluster: str) -> None:
        """Real servers first, as a rollout does it."""
        for host in (*self.real_servers, self.director):
            host.become(cluster)

    def remove(self) -> None:
        for server in self._servers:
            server.shutdown(socket.SHUT_RDWR)  # wakes who waits for connections
            server.close()
        for host in (self.client, self.director, *self.real_servers):
            host.namespace.remove()
        subprocess.run(["ip", "link", "del", self._bridge], check=True)
