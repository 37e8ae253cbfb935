"""A minion's control of a real keepalived, and what it told of it: for the tests of starts, ends and adoptions."""

from __future__ import annotations

from lbminion.keepalived.control import Control, Ended, Occurrence
from lbminion.keepalived.ends import End
from lbminion.keepalived.manager import Child
from lbminion.keepalived.process import find
from lbminion.keepalived.transitions import Transition
from lbminion.keepalived.waiting import until
from lbstates.kinds.keepalived import Keepalived

from .keepalived_pair import Node

SECONDS = 10.0


class Minion:
    """A control with a memory of what it told."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.told: list[Occurrence] = []
        self.control = Control(node.paths, Child(), self.told.append)

    @property
    def states(self) -> list[str]:
        return [occurrence.state for occurrence in self.told if isinstance(occurrence, Transition)]

    @property
    def ends(self) -> list[End]:
        return [occurrence.end for occurrence in self.told if isinstance(occurrence, Ended)]

    def desired(self, priority: int = 200) -> Keepalived:
        return Keepalived(self.node.config(priority), running=True)

    async def becomes(self, *states: str) -> None:
        """Wait until the last transitions are these."""
        assert await until(lambda: tuple(self.states[-len(states) :]) == states, SECONDS), self.told

    async def ended(self, end: End) -> None:
        assert await until(lambda: self.ends[-1:] == [end], SECONDS), self.told

    async def master(self) -> None:
        """Start keepalived and wait until it holds the VIP."""
        assert (await self.control.put(self.desired())).action == "started"
        await self.becomes("BACKUP", "MASTER")
        assert await until(self.node.has_vip, SECONDS)


def pid_of(minion: Minion) -> int:
    process = find(minion.node.paths)
    assert process is not None
    return process.pid
