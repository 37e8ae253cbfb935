"""What others do to the table of a real kernel, and what the minion does about it: heal, report, or clear it away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.uml.inside.conftest import run, saved

from lbminion.handlers.keepalived import KeepalivedReader
from lbminion.holdings import Holdings
from lbminion.host import Host
from lbminion.jobs import Look
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.ledger import Ledger
from lbminion.netlink.addresses import Addresses
from lbminion.netlink.ipvs import Ipvs
from lbminion.planner import Desired, Planner
from lbminion.policy import Share
from lbminion.reconciler import Reconciler
from lbminion.store import open_store
from lbstates.desired import RoleState
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.plan import index

WEB = Service("tcp", "10.0.0.1", 80, "rr")
ONE = Destination(WEB.identity, "10.0.1.1", 80, "direct", 1)
TWO = Destination(WEB.identity, "10.0.1.2", 80, "direct", 1)
OURS = [
    "-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 1", "-a -t 10.0.0.1:80 -r 10.0.1.2:80 -g -w 1",
]  # fmt: skip
ADDED = "-a -t 10.0.0.1:80 -r 10.0.1.9:80 -g -w 1"
FOREIGN = "-A -t 10.9.9.9:80 -s rr"


class Fixed(Planner):
    """Plans for a cluster of one service, with the policy that a test chooses."""

    share = Share("c", heals=True, exclusive=False, resources=(WEB, ONE, TWO))

    async def desired(self, overrides: Mapping[str, Sequence[RoleState]] | None = None) -> Desired:
        return Desired(index(self.share.resources), {}, "c", (self.share,))


class Scene:
    """A reconciler on this guest, and what it said."""

    def __init__(self, folder: Path, share: Share) -> None:
        connection = open_store(folder)
        paths = KeepalivedPaths.under(folder, folder / "keepalived.conf")
        self.addresses = Addresses()
        self.host = make_host(self.addresses, paths)
        holdings, ledger = Holdings(connection, {}), Ledger(connection)
        planner = Fixed("d1", self.host, holdings, ledger)
        planner.share = share
        self.said: list[tuple[str, Any]] = []
        self.reconciler = Reconciler(
            planner,
            self.host,
            holdings,
            ledger,
            lambda data, _cluster: self.said.append((data.TYPE, data)),
            lambda _: None,
        )

    def types(self) -> list[str]:
        return [kind for kind, _ in self.said]

    async def tick(self) -> None:
        """A second passes, as far as the minion knows."""
        self.host.ipvs.snapshot()
        self.reconciler.tick()
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            while self.reconciler.busy:
                await asyncio.sleep(0.001)

    async def others(self, words: str) -> None:
        """Somebody runs ipvsadm, and a second passes."""
        run("ipvsadm", *words.split())
        await self.tick()


def make_host(addresses: Addresses, paths: KeepalivedPaths) -> Host:
    return Host(addresses, KeepalivedReader(paths))


def played(folder: Path, body: Callable[[Scene], Awaitable[None]], **policy: bool) -> Scene:
    """Play a scene that begins with the table as it shall be."""
    share = Fixed.share._replace(**policy)

    async def play() -> Scene:
        scene = Scene(folder, share)
        task = asyncio.get_running_loop().create_task(scene.reconciler.run())
        try:
            scene.reconciler.ask(Look("push"))
            await scene.tick()
            if share.heals:
                assert saved() == sorted(OURS)
            scene.said.clear()
            await body(scene)
        finally:
            task.cancel()
            scene.host.close()
            await scene.addresses.close()
        return scene

    return asyncio.run(play())


@pytest.mark.usefixtures("ipvs")
def test_a_table_that_somebody_empties_is_filled_at_the_next_tick(tmp_path: Path) -> None:
    """And an entry that somebody changes is changed back."""

    async def body(scene: Scene) -> None:
        begun = time.monotonic()
        await scene.others("-C")
        print(f"emptied table: {time.monotonic() - begun:.2f} s with ipvsadm, from the tick on")  # noqa: T201
        assert saved() == sorted(OURS)
        await scene.others("-e -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 7")
        assert saved() == sorted(OURS)

    assert played(tmp_path, body).types() == ["drift.found", "drift.healed"] * 2


@pytest.mark.usefixtures("ipvs")
def test_what_is_foreign_is_named_once_and_left_alone(tmp_path: Path) -> None:
    """A service, and a destination in one of ours."""

    async def body(scene: Scene) -> None:
        await scene.others(FOREIGN)
        await scene.others(ADDED)
        await scene.tick()
        assert saved() == sorted([*OURS, FOREIGN, ADDED])
        assert scene.reconciler.outcome.drift == 0

    assert played(tmp_path, body).types() == ["ipvs.foreign"] * 2


@pytest.mark.usefixtures("ipvs")
def test_an_exclusive_cluster_clears_away_what_is_foreign(tmp_path: Path) -> None:
    """Within a tick, and it is drift like any other."""

    async def body(scene: Scene) -> None:
        await scene.others(FOREIGN)
        assert saved() == sorted(OURS)
        await scene.others(ADDED)
        assert saved() == sorted(OURS)

    scene = played(tmp_path, body, exclusive=True)
    assert scene.types() == ["drift.found", "drift.healed"] * 2
    assert [data.steps[0].verb for kind, data in scene.said if kind == "drift.healed"] == ["remove", "remove"]


@pytest.mark.usefixtures("ipvs")
def test_a_cluster_that_wants_reports_gets_reports(tmp_path: Path, ipvs: Ipvs) -> None:
    """Found once, changed by nobody, gone when somebody puts it right."""
    run("ipvsadm", "-A", "-t", "10.0.0.1:80", "-s", "rr")
    for last in (1, 2):
        run("ipvsadm", "-a", "-t", "10.0.0.1:80", "-r", f"10.0.1.{last}:80", "-g", "-w", "1")

    async def body(scene: Scene) -> None:
        assert scene.reconciler.outcome.drift == 0
        await scene.others("-e -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 7")
        await scene.tick()
        assert len(ipvs.read().destinations) == 2
        assert ipvs.read().destinations[ONE.identity].weight == 7
        assert scene.reconciler.outcome.drift == 1
        await scene.others("-e -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 1")
        assert scene.reconciler.outcome.drift == 0

    assert played(tmp_path, body, heals=False).types() == ["drift.found", "drift.gone"]


@pytest.mark.usefixtures("ipvs")
def test_another_writer_of_the_table_is_named_and_given_way(tmp_path: Path) -> None:
    """Three times it is repaired at once; the fourth time it waits."""

    async def body(scene: Scene) -> None:
        for _ in range(4):
            await scene.others("-d -t 10.0.0.1:80 -r 10.0.1.1:80")
        assert saved() == sorted([OURS[0], OURS[2]])

    scene = played(tmp_path, body)
    assert scene.types() == ["drift.found", "drift.healed"] * 3 + ["drift.contested"]
    assert scene.said[-1][1].identities == (ONE.identity,)
