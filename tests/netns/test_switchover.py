"""Switchovers and evacuations by real keepalived processes that track our files: the VIPs move, and nothing is reloaded."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
from tests.netns.test_rendered_config import Directors, _holders

from lbminion.handlers.priorities import Priorities
from lbminion.keepalived.paths import KeepalivedPaths
from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState
from lbstates.facts import HostFacts
from lbstates.interventions import NONE, Evacuation, Interventions, Switchover
from lbstates.keepalived_conf import render
from lbstates.kinds.kind import Resource
from lbstates.kinds.priority import Priority
from lbstates.plan import diff, index
from lbstates.resources import resources_for

pytestmark = pytest.mark.needs_root

ADDRESSES = ["172.28.128.30", "172.28.128.40", "172.28.128.50"]
HOSTS = ("netology3", "netology4", "netology5")
CLUSTER = """\
cluster: netology
directors: {netology3: 172.28.128.30, netology4: 172.28.128.40, netology5: 172.28.128.50}
real_servers: {netology1: 172.28.128.10}
vips: {web: 172.28.128.200/24, mail: 172.28.128.201/24}
services:
  - {vip: web, port: 80}
"""
WEB, MAIL = "172.28.128.200", "172.28.128.201"
GROUP = "instances: {web: {home: netology3, sync_group: both}, mail: {sync_group: both}}\n"
ALONE = "instances: {web: {home: netology3}, mail: {home: netology4}}\n"


class Trio:
    """Three directors; `move` brings interventions into force as a rollout does: whoever holds a VIP comes last."""

    def __init__(self, text: str, namespaces: list[str], folder: Path) -> None:
        self.text, self.namespaces, self.folder = text, namespaces, folder
        self.paths = [KeepalivedPaths.under(folder / host, folder / host / "keepalived.conf") for host in HOSTS]
        self.processes: list[subprocess.Popen[bytes]] = []
        self.resources = [self._resources(place, NONE) for place in range(3)]

    def _state(self, interventions: Interventions) -> DirectorState:
        state = compile_cluster(parse(self.text, "x"), None, interventions)["director"]
        assert isinstance(state, DirectorState)
        return state

    def _facts(self, place: int) -> HostFacts:
        paths = self.paths[place]
        return HostFacts({ADDRESSES[place]: "eth1"}, "2.2.7", str(paths.fifo), adjustments=str(paths.adjustments))

    def _resources(self, place: int, interventions: Interventions) -> list[Resource]:
        found = resources_for(self._state(interventions), HOSTS[place], self._facts(place))
        return [it for it in found if isinstance(it, Priority)]

    async def start(self, interventions: Interventions = NONE) -> None:
        for place, paths in enumerate(self.paths):
            paths.runtime.mkdir()
            paths.config.write_text(render(self._state(interventions), HOSTS[place], self._facts(place)))
            await self._apply(place, [], self._resources(place, interventions))
        # Where nobody preempts, whoever is first stays.
        order, first = ((0, 1, 2), 0) if interventions == NONE else ((2, 1, 0), 2)
        for place in order:
            self.processes.append(self._spawn(place))
            if place == first:
                self.until({WEB: first})

    def _spawn(self, place: int) -> subprocess.Popen[bytes]:
        paths = self.paths[place]
        command = [
            "ip",
            "netns",
            "exec",
            self.namespaces[place],
            "keepalived",
            "--dont-fork",
            "--vrrp",
            "--log-console",
        ]
        command += [
            "--log-detail",
            f"--use-file={paths.config}",
            f"--pid={paths.pid}",
            f"--vrrp_pid={paths.children[0]}",
        ]
        with paths.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    async def _apply(self, place: int, before: list[Resource], after: list[Resource]) -> None:
        handler = Priorities(self.paths[place], lambda: self._masters(place))
        plan = diff(index(after), index(before), {})
        assert await handler.apply(plan) == []
        wanted = {"priority": frozenset(it.identity for it in after)}
        assert (await handler.observe(wanted))["priority"] == index(after)["priority"]
        assert not handler.changed(wanted, index(after))

    def _masters(self, place: int) -> frozenset[str]:
        names = {"web": WEB, "mail": MAIL}
        return frozenset(name for name, vip in names.items() if place in self.holders(vip))

    def holders(self, vip: str) -> list[int]:
        return _holders(self.namespaces, vip)

    async def move(self, interventions: Interventions) -> None:
        last = self.holders(WEB)
        for place in sorted(range(3), key=lambda place: place in last):
            after = self._resources(place, interventions)
            await self._apply(place, self.resources[place], after)
            self.resources[place] = after

    def until(self, want: dict[str, int], seconds: float = 20.0) -> float:
        """Wait until each VIP is there and nowhere else; returns how long it took."""
        started = time.monotonic()
        while {vip: self.holders(vip) for vip in want} != {vip: [place] for vip, place in want.items()}:
            assert time.monotonic() - started < seconds, (want, [self.holders(vip) for vip in want], self.logs())
            time.sleep(0.02)
        return time.monotonic() - started

    def together(self, vips: Collection[str], among: Collection[int]) -> int:
        """Wait until one of these places has all VIPs; returns it. A director that lost a race has them for a moment."""
        end = time.monotonic() + 20
        while True:
            found = {tuple(self.holders(vip)) for vip in vips}
            if len(found) == 1 and len(where := found.pop()) == 1 and where[0] in among:
                return where[0]
            assert time.monotonic() < end, (found, self.logs())
            time.sleep(0.1)

    def stays(self, want: dict[str, int], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            held = {vip: self.holders(vip) for vip in want}
            assert held == {vip: [place] for vip, place in want.items()}, (held, self.logs())
            time.sleep(0.05)

    def logs(self) -> str:
        return "\n".join(paths.log.read_text() for paths in self.paths)

    def stop(self, place: int) -> None:
        """End keepalived there, of those that were started without interventions."""
        self.processes[place].terminate()
        self.processes[place].wait(20)


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[Callable[[str], Trio]]:
    """Make three directors of a cluster file, by what is behind its services; ends their keepalived afterwards."""
    directors = Directors(3)
    with contextlib.ExitStack() as stack:
        stack.callback(directors.remove)
        directors.make(ADDRESSES)
        made: list[Trio] = []

        def end() -> None:
            for trio in made:
                for process in trio.processes:
                    process.terminate()
                    process.wait(20)

        stack.callback(end)

        def make(more: str) -> Trio:
            made.append(Trio(CLUSTER + more, directors.names, tmp_path))
            return made[-1]

        yield make


def _to(director: str) -> Interventions:
    return Interventions(switchovers=(Switchover(instance="web", director=director),))


# By quick advertisements, but where hands are given over by who waits less than the others: a busy machine blurs that.
ELECTIONS = {
    f"{preempt}, {mode}, {'sync group' if group is GROUP else 'alone'}": (
        f"{group}vrrp: {{{words}, mode: {mode}}}\n",
        [WEB, MAIL] if group is GROUP else [WEB],
    )
    for preempt, words in {
        "preempt": "advert_interval: 0.3",
        "nopreempt": "advert_interval: 1, preempt: false",
        "nopreempt for a while": "advert_interval: 1, preempt_delay: 60",
    }.items()
    for mode in ("multicast", "unicast")
    for group in (ALONE, GROUP)
    if preempt != "nopreempt for a while" or (mode, group) == ("multicast", ALONE)
}


@pytest.mark.parametrize("election", ELECTIONS)
async def test_a_vip_moves_to_the_director_that_was_chosen_and_back(election: str, trio: Callable[[str], Trio]) -> None:
    """Without a reload, also where nobody preempts; when the chosen one dies the others do as ever."""
    more, vips = ELECTIONS[election]
    three = trio(more)
    await three.start()
    three.until(dict.fromkeys(vips, 0))
    others = {MAIL: 1} if MAIL not in vips and not election.startswith("nopreempt") else {}
    three.until(others)
    await three.move(_to("netology5"))
    three.until(dict.fromkeys(vips, 2), 10)
    three.stays(others, 0.5)
    await three.move(NONE)
    home = {0} if election.startswith("preempt") else {0, 1}
    assert three.together(vips, home) in home
    await three.move(_to("netology5"))
    three.until(dict.fromkeys(vips, 2), 10)
    three.stop(2)
    place = three.together(vips, home)
    three.stays(dict.fromkeys(vips, place), 2)
    assert "eload" not in three.logs()


async def test_a_vip_that_goes_takes_no_other_one_of_its_network_along(trio: Callable[[str], Trio]) -> None:
    """The directors' own addresses are in a wider network, so that the first VIP is the first address of its own.

    Without `promote_secondaries` the kernel deletes the others with it, and keepalived does not put them back.
    """
    three = trio("instances: {web: {home: netology3}, mail: {home: netology3}}\nvrrp: {advert_interval: 0.3}\n")
    await three.start()
    three.until({WEB: 0, MAIL: 0})
    for first, other in (("web", MAIL), ("mail", WEB)):
        await three.move(Interventions(switchovers=(Switchover(instance=first, director="netology5"),)))
        three.until({WEB if first == "web" else MAIL: 2}, 5)
        three.stays({other: 0}, 1)
        await three.move(NONE)
        three.until({WEB: 0, MAIL: 0}, 5)


async def test_an_evacuated_director_gives_all_it_has_to_others(trio: Callable[[str], Trio]) -> None:
    """And takes it when no other is left."""
    three = trio(ALONE + "vrrp: {advert_interval: 0.3}\n")
    await three.start()
    three.until({WEB: 0, MAIL: 1})
    await three.move(Interventions(evacuations=(Evacuation(director="netology3"),)))
    three.until({WEB: 2, MAIL: 1}, 5)
    three.stop(1)
    three.until({WEB: 2, MAIL: 2}, 5)
    three.stop(2)
    three.until({WEB: 0, MAIL: 0}, 5)


async def test_a_keepalived_that_starts_begins_with_its_adjustment(trio: Callable[[str], Trio]) -> None:
    """After a reboot it may be there before the minion: what was evacuated must not come back by that."""
    three = trio(ALONE + "vrrp: {advert_interval: 0.3}\n")
    await three.start(Interventions(evacuations=(Evacuation(director="netology3"),)))
    three.until({WEB: 2, MAIL: 1})
    three.stays({WEB: 2}, 2)
    assert "(web) Changing effective priority from 250 to" in three.paths[0].log.read_text()
    assert "(web) Entering MASTER" not in three.paths[0].log.read_text()


async def test_a_plain_file_that_somebody_wrote_is_put_right(tmp_path: Path) -> None:
    """Whatever stands in it: keepalived may make a 0 of it."""
    paths = KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")
    handler = Priorities(paths, frozenset)
    wanted = index([Priority("web", 0)])
    for text in ("7\n", "", "x", "0", "\xff"):
        paths.adjustments.mkdir(exist_ok=True)
        (paths.adjustments / "web").write_bytes(text.encode("latin-1"))
        observed = await handler.observe({"priority": {"web"}})
        assert await handler.apply(diff(wanted, {"priority": observed["priority"]}, {})) == []
        assert (paths.adjustments / "web").read_text() == "0\n"
    assert await handler.apply(diff({}, wanted, {"priority": {"web": None}})) == []
    assert list(paths.adjustments.iterdir()) == []


async def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    paths = KeepalivedPaths.under(tmp_path, tmp_path / "keepalived.conf")
    paths.adjustments.write_text("a file where the directory shall be")
    (error,) = await Priorities(paths, frozenset).apply(diff(index([Priority("web", 0)]), {}, {}))
    assert str(paths.adjustments) in str(error)
