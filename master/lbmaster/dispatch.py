"""Sending: what goes to a whole cluster, what goes to one host, and under which number."""

from __future__ import annotations

from collections.abc import Iterable

from lbstates.desired import RoleState
from lbwire.messages import Position
from lbwire.topics import BEACON, CLUSTER, role_audience, topic

from .broadcast import Broadcast
from .clusters import Clusters
from .generations import Generations
from .signing import Signer
from .uplink import Uplink


class Dispatch:
    """Signs and sends. Whether a message arrived is seen by what comes back."""

    def __init__(
        self, broadcast: Broadcast, uplink: Uplink, signer: Signer, generations: Generations, clusters: Clusters
    ) -> None:
        self._broadcast, self._uplink, self._signer = broadcast, uplink, signer
        self._generations, self._clusters = generations, clusters

    def states(self, cluster: str, generation: int) -> None:
        """Broadcast the signed states of a generation to their roles."""
        for role, raw in self._generations.states(cluster, generation).items():
            self._broadcast.send(topic(cluster, role_audience(role)), raw)

    def states_to(self, host: str, cluster: str, generation: int) -> None:
        """Send one host the states of the roles that it has, or had: the same bytes that were broadcast."""
        states = self._generations.states(cluster, generation)
        for role in self._clusters.roles(cluster).get(host, ()):
            if role in states:
                self._uplink.send(host, states[role])

    def release(self, cluster: str, generation: int, hosts: tuple[str, ...]) -> int:
        """Broadcast a release; returns its command number."""
        command = self._generations.next_command(cluster, broadcast=True)
        self._broadcast.send(topic(cluster, CLUSTER), self._signer.release(cluster, generation, command, hosts))
        return command

    def release_to(self, host: str, cluster: str, generation: int) -> int:
        """Release one host; returns the command number."""
        command = self._generations.next_command(cluster)
        self._uplink.send(host, self._signer.release(cluster, generation, command, (host,), only=host))
        return command

    def reconcile(self, cluster: str, reason: str, announce: tuple[str, ...] = ()) -> int:
        """Have a whole cluster compare and heal, and VRRP instances announced anew; returns the command number."""
        command = self._generations.next_command(cluster, broadcast=True)
        self._broadcast.send(topic(cluster, CLUSTER), self._signer.reconcile(cluster, command, reason, announce))
        return command

    def examine(self, cluster: str) -> int:
        """Have a whole cluster looked at; returns the command number."""
        command = self._generations.next_command(cluster, broadcast=True)
        self._broadcast.send(topic(cluster, CLUSTER), self._signer.examine(cluster, command))
        return command

    def trial(self, cluster: str, role: str, state: RoleState, hosts: Iterable[str]) -> int:
        """Ask hosts what would change for one of their roles; returns the command number."""
        command = self._generations.next_command(cluster)
        raw = self._signer.trial(cluster, role, command, state)
        for host in hosts:
            self._uplink.send(host, raw)
        return command

    def ack(self, host: str, boot: int, sequence: int) -> None:
        self._uplink.acknowledge(host, self._signer.ack(host, boot, sequence))

    def to_everybody(self, raw: bytes) -> None:
        """Broadcast what is for every minion, whatever its clusters."""
        self._broadcast.send(BEACON, raw)

    def beacon(self) -> None:
        """Tell everybody where each cluster stands."""
        positions = {
            name: Position(cluster.released, cluster.broadcast) for name, cluster in self._generations.clusters.items()
        }
        self._broadcast.send(BEACON, self._signer.beacon(positions))
