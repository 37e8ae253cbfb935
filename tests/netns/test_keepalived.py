"""The minion's keepalived, with a real one over a veth pair: started, reloaded, stopped, killed, flapping, adopted."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

from lbminion.keepalived import control, manager, marks
from lbminion.keepalived.control import Appeared, Control, Ended, Occurrence
from lbminion.keepalived.ends import End
from lbminion.keepalived.errors import ConfigRefused, FifoBlocked, StopFailed
from lbminion.keepalived.leftovers import leftovers, remove_leftovers
from lbminion.keepalived.manager import Child
from lbminion.keepalived.process import alive, find, named_by, survivors
from lbminion.keepalived.transitions import Transition
from lbminion.keepalived.waiting import until
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived

from .keepalived_pair import VIP, Node, pair

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]

_SECONDS = 10.0


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
        assert await until(lambda: tuple(self.states[-len(states) :]) == states, _SECONDS), self.told

    async def ended(self, end: End) -> None:
        assert await until(lambda: self.ends[-1:] == [end], _SECONDS), self.told

    async def master(self) -> None:
        """Start keepalived and wait until it holds the VIP."""
        assert (await self.control.put(self.desired())).action == "started"
        await self.becomes("BACKUP", "MASTER")
        assert await until(self.node.has_vip, _SECONDS)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Node, Node]]:
    with pair(tmp_path) as both:
        yield both


@pytest.fixture
async def minion(nodes: tuple[Node, Node]) -> AsyncIterator[Minion]:
    minion = Minion(nodes[0])
    await minion.control.open()
    yield minion
    minion.control.close()


def _pid(minion: Minion) -> int:
    process = find(minion.node.paths)
    assert process is not None
    return process.pid


def _blocking(look: Callable[[], bool]) -> bool:
    """Wait as `until` does, but without a turn of the loop."""
    deadline = time.monotonic() + _SECONDS
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    return look()


async def test_it_is_started_once_and_then_left_alone(minion: Minion) -> None:
    """Observed equals desired, and putting the same again changes nothing."""
    assert minion.control.observe() is None
    await minion.master()
    pid = _pid(minion)
    assert minion.control.observe() == minion.desired()
    assert (await minion.control.put(minion.desired())).action == "none"
    assert _pid(minion) == pid
    assert minion.told == [Transition("web", "BACKUP", 200, None), Transition("web", "MASTER", 200, "BACKUP")]


@pytest.mark.pitfall("V15")
async def test_a_new_text_is_reloaded_without_a_transition(minion: Minion) -> None:
    """The same process, still MASTER, the VIP never gone; the dump shows the new priority."""
    await minion.master()
    pid, told = _pid(minion), list(minion.told)
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"
    assert _pid(minion) == pid
    assert minion.control.observe() == minion.desired(150)
    seen = await minion.control.look()
    assert seen is not None
    assert (seen["web"].state, seen["web"].priority) == ("MASTER", 150)
    assert minion.told == told
    assert minion.node.has_vip()


@pytest.mark.pitfall("V17")
async def test_a_broken_text_changes_nothing(minion: Minion) -> None:
    """keepalived goes on with the old one, and the file is the old one."""
    await minion.master()
    broken = Keepalived(minion.node.config().replace("priority", "prioryti"), running=True)
    with pytest.raises(ConfigRefused):
        await minion.control.put(broken)
    assert minion.control.observe() == minion.desired()


async def test_a_file_replaced_but_not_reloaded_is_noticed(minion: Minion) -> None:
    """The minion was killed between the two: what is observed is not running with this text."""
    await minion.master()
    minion.node.paths.config.write_text(minion.node.config(120))
    assert minion.control.observe() == Keepalived(minion.node.config(120), running=False)
    assert (await minion.control.put(minion.desired(120))).action == "reloaded"
    assert minion.control.observe() == minion.desired(120)


async def test_a_file_of_somebody_else_is_kept_and_comes_back(minion: Minion) -> None:
    """Given up, the host has its old file again, as it was, and keepalived as it was: not running."""
    minion.node.paths.config.write_text("! mine\n")
    before = minion.control.observe()
    assert before == Keepalived("! mine\n", running=False)
    report = await minion.control.put(minion.desired())
    assert report.backup is not None
    assert report.backup.read_text() == "! mine\n"
    assert (await minion.control.put(before)).action == "stopped"
    assert minion.control.observe() == before
    assert minion.ends == []


async def test_an_operators_stop_is_told_and_held(minion: Minion, nodes: tuple[Node, Node]) -> None:
    """The peer takes over; no plan starts keepalived again, a push does."""
    await minion.master()
    peer = nodes[1]
    peer.paths.config.write_text(peer.config(100))
    other = peer.spawn()
    assert await until(lambda: named_by(peer.paths.children[0]), _SECONDS)
    os.kill(_pid(minion), signal.SIGTERM)
    await minion.ended(End.STOPPED)
    assert minion.states[-1] == "STOP"
    assert minion.control.held
    assert not minion.node.has_vip()
    assert await until(peer.has_vip, _SECONDS)
    assert (await minion.control.put(minion.desired())).action == "held"
    assert find(minion.node.paths) is None
    assert minion.control.release_hold()
    assert (await minion.control.put(minion.desired())).action == "started"
    peer.kill_all()
    other.wait()


async def test_a_keepalived_that_is_ending_is_not_started_again_by_who_looks_at_that_moment(minion: Minion) -> None:
    """Its pid file goes first: until it has ended nobody knows whether an operator stopped it."""
    await minion.master()
    pid = _pid(minion)
    minion.node.paths.pid.unlink()
    assert minion.control.observe() == minion.desired()
    assert minion.control.runs, "its VIPs are no leftovers"
    assert (await minion.control.put(minion.desired())).action == "none"
    putting = asyncio.create_task(minion.control.put(minion.desired(150)))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGTERM)
    assert (await putting).action == "held"
    assert minion.ends == [End.STOPPED]
    assert find(minion.node.paths) is None
    assert minion.control.observe() == structs.replace(minion.desired(150), running=False)


async def test_one_that_is_ending_and_does_not_end_is_named(minion: Minion, monkeypatch: pytest.MonkeyPatch) -> None:
    """No second one is started beside it."""
    await minion.master()
    pid = _pid(minion)
    text = minion.node.paths.pid.read_text()
    minion.node.paths.pid.unlink()
    monkeypatch.setattr(control, "STOP_SECONDS", 0.1)
    with pytest.raises(StopFailed, match=f"pid {pid}"):
        await minion.control.put(minion.desired(150))
    minion.node.paths.pid.write_text(text)
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"


async def test_what_an_end_was_is_known_before_anybody_decides_about_it(minion: Minion) -> None:
    """Also when somebody looks between the death and the turn of the loop that would tell of it."""
    await minion.master()
    pid = _pid(minion)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not turn
    assert minion.control.observe() == structs.replace(minion.desired(), running=False)
    assert minion.ends == [End.DIED]
    assert (await minion.control.put(minion.desired())).action == "started"
    await asyncio.sleep(0)
    assert minion.ends == [End.DIED]
    assert not minion.control.held


async def test_a_restart_by_an_operator_is_an_end_and_then_a_start(minion: Minion) -> None:
    """Also when all that is read in one turn of a busy loop: nothing is held, and nothing counts as dead."""
    await minion.master()
    told, pid = len(minion.told), _pid(minion)
    os.kill(pid, signal.SIGTERM)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not turn
    by_hand = minion.node.spawn()
    assert _blocking(lambda: "BACKUP STATE" in minion.node.paths.log.read_text().rpartition("Stopped")[2])
    assert minion.control.observe() == minion.desired()
    ends = [it for it in minion.told[told:] if isinstance(it, Ended | Appeared)]
    assert ends == [Ended(End.STOPPED, pid), Appeared(_pid(minion), cleared_hold=True)]
    assert not minion.control.held
    await minion.becomes("BACKUP", "MASTER")
    os.kill(_pid(minion), signal.SIGTERM)
    by_hand.wait()


async def test_who_starts_a_dead_keepalived_before_the_minion_does_is_left_alone(
    minion: Minion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pid files and its child are not the dead one's remains."""
    await minion.master()
    os.kill(_pid(minion), signal.SIGKILL)
    await minion.ended(End.DIED)
    started: list[subprocess.Popen[bytes]] = []

    async def meanwhile(look: Callable[[], object], within: float) -> object:
        if not started:
            assert await until(lambda: not survivors(minion.node.paths), _SECONDS)
            started.append(minion.node.spawn())
            assert await until(lambda: survivors(minion.node.paths), _SECONDS)
        return await until(look, within)

    monkeypatch.setattr(manager, "until", meanwhile)
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"
    monkeypatch.undo()
    assert _pid(minion) == started[0].pid
    await minion.becomes("BACKUP", "MASTER")
    os.kill(_pid(minion), signal.SIGTERM)
    started[0].wait()


async def test_an_operators_start_ends_the_hold(minion: Minion) -> None:
    """keepalived's first line in the FIFO makes the minion look, and adopt what it finds."""
    await minion.master()
    os.kill(_pid(minion), signal.SIGTERM)
    await minion.ended(End.STOPPED)
    by_hand = minion.node.spawn()
    await minion.becomes("STOP", "BACKUP", "MASTER")
    assert Appeared(_pid(minion), cleared_hold=True) in minion.told
    assert not minion.control.held
    os.kill(_pid(minion), signal.SIGKILL)
    by_hand.wait()
    await minion.ended(End.DIED)


@pytest.mark.pitfall("V14")
async def test_a_killed_keepalived_is_healed_and_its_vip_cleaned(minion: Minion) -> None:
    """kill -9 of all of it says nothing and leaves the VIP; nobody is MASTER any more, and it starts again."""
    await minion.master()
    minion.node.kill_all()
    await minion.ended(End.DIED)
    assert not minion.control.held
    assert not minion.control.states.states
    assert minion.node.has_vip()

    vip = Address("v1", f"{VIP}/32")
    observed = minion.control.observe()
    assert observed == Keepalived(minion.node.config(), running=False)

    async def remove(address: Address) -> None:
        minion.node.ip("addr", "del", address.address, "dev", address.interface)

    found = leftovers(running=observed.running, vips=[vip], present={vip})
    assert await remove_leftovers(found, remove) == ((vip,), ())
    assert not minion.node.has_vip()
    assert (await minion.control.put(minion.desired())).action == "started"
    await minion.becomes("BACKUP", "MASTER")


async def test_keepalived_started_again_cleans_up_by_itself(minion: Minion) -> None:
    """Without any help the VIP goes when the next keepalived starts, and comes with its election."""
    await minion.master()
    minion.node.kill_all()
    await minion.ended(End.DIED)
    await minion.control.put(minion.desired())
    assert await until(lambda: not minion.node.has_vip(), _SECONDS) or minion.states[-1] == "MASTER"
    await minion.becomes("BACKUP", "MASTER")
    assert await until(minion.node.has_vip, _SECONDS)


async def test_a_killed_parent_is_a_death_although_its_child_says_stop(minion: Minion) -> None:
    """The kernel tells the child to end, and it says STOP like one whose operator wanted it; healed all the same."""
    await minion.master()
    os.kill(_pid(minion), signal.SIGKILL)
    await minion.ended(End.DIED)
    assert not minion.control.held
    assert (await minion.control.put(minion.desired())).action == "started"
    await minion.becomes("STOP", "BACKUP", "MASTER")
    assert minion.ends == [End.DIED]
    assert len(minion.node.pids()) == 2


async def test_a_child_that_hangs_after_its_parents_death_is_killed(minion: Minion) -> None:
    """Two keepalived processes with one VIP would be two MASTERs on one host."""
    await minion.master()
    (child,) = survivors(minion.node.paths)
    os.kill(child.pid, signal.SIGSTOP)
    os.kill(_pid(minion), signal.SIGKILL)
    await minion.ended(End.DIED)
    assert (await minion.control.put(minion.desired())).action == "started"
    # One that is dying is nobody any more a moment before it is gone.
    assert await until(lambda: not alive(child), _SECONDS)
    await minion.becomes("BACKUP", "MASTER")


async def test_a_killed_child_is_keepaliveds_own_business(minion: Minion) -> None:
    """The parent starts another: BACKUP, MASTER, and no end."""
    await minion.master()
    (child,) = survivors(minion.node.paths)
    os.kill(child.pid, signal.SIGKILL)
    await minion.becomes("MASTER", "BACKUP", "MASTER")
    assert minion.ends == []
    assert minion.control.observe() == minion.desired()


@pytest.mark.pitfall("V13")
async def test_a_vip_deleted_by_hand_is_a_flap_that_the_peer_never_sees(
    minion: Minion, nodes: tuple[Node, Node]
) -> None:
    """MASTER, BACKUP, MASTER is told as it was, the VIP is back, and the peer never had it."""
    await minion.master()
    peer = nodes[1]
    peer.paths.config.write_text(peer.config(100))
    other = peer.spawn()
    assert await until(lambda: named_by(peer.paths.children[0]), _SECONDS)
    minion.node.ip("addr", "del", f"{VIP}/32", "dev", "v1")
    await minion.becomes("MASTER", "BACKUP", "MASTER")
    assert await until(minion.node.has_vip, _SECONDS)
    assert b"Entering MASTER STATE" not in peer.paths.log.read_bytes()
    peer.kill_all()
    other.wait()


async def test_the_next_minion_adopts_it_untouched(minion: Minion) -> None:
    """The same process, the same text, and its state from the dump, since the FIFO says nothing now."""
    await minion.master()
    pid = _pid(minion)
    minion.control.close()
    successor = Minion(minion.node)
    await successor.control.open()
    assert successor.told == [Transition("web", "MASTER", 200, None)]
    assert successor.control.observe() == minion.desired()
    assert (await successor.control.put(minion.desired())).action == "none"
    assert _pid(successor) == pid
    os.kill(pid, signal.SIGKILL)
    await successor.ended(End.DIED)
    successor.control.close()


async def test_the_next_minion_knows_what_it_adopts_without_a_dump(
    minion: Minion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written where keepalived writes it: the VIP on this host tells, and a dump as soon as there is one."""
    monkeypatch.setattr(control, "_AGAIN_SECONDS", 0.1)
    await minion.master()
    minion.control.close()
    minion.node.paths.dump.unlink(missing_ok=True)
    minion.node.paths.dump.mkdir()
    successor = Minion(minion.node)
    await successor.control.open()
    assert successor.told == [Transition("web", "MASTER", 200, None)]
    assert await successor.control.look() is None
    minion.node.paths.dump.rmdir()
    later = successor.control._later
    assert later is not None
    assert await until(later.done, _SECONDS)
    assert await successor.control.look() is not None
    assert successor.told == [Transition("web", "MASTER", 200, None)]
    successor.control.close()


@pytest.mark.parametrize(
    ("end", "fell"), [(signal.SIGTERM, End.STOPPED), (signal.SIGKILL, End.DIED)], ids=["stopped", "killed"]
)
async def test_an_end_without_a_minion_is_understood_by_the_next(
    minion: Minion, end: signal.Signals, fell: End
) -> None:
    """What is left of it tells whether an operator stopped it or it died; told once, by the one who finds it."""
    await minion.master()
    process = find(minion.node.paths)
    assert process is not None
    minion.control.close()
    os.kill(process.pid, end)
    assert await until(lambda: not alive(process), _SECONDS)
    told: list[Occurrence] = []
    for _ in range(2):
        successor = Control(minion.node.paths, Child(), told.append)
        await successor.open()
        assert successor.held is (fell is End.STOPPED)
        successor.close()
    assert [occurrence for occurrence in told if isinstance(occurrence, Ended)] == [Ended(fell, process.pid)]


async def test_a_keepalived_that_was_there_before_the_minion_is_adopted(nodes: tuple[Node, Node]) -> None:
    """systemd started it at boot with the file of the last push: no reload is needed, and none is made."""
    node = nodes[0]
    node.paths.config.write_text(node.config())
    assert await until(_older(node.paths.config, 1.2), _SECONDS)
    by_hand = node.spawn()
    assert await until(lambda: named_by(node.paths.children[0]), _SECONDS)
    minion = Minion(node)
    await minion.control.open()
    # Recorded at once: the times of file and process tell nothing any more when somebody sets the clock.
    recorded = marks.last_loaded(node.paths)
    assert recorded is not None
    assert recorded.pid == by_hand.pid
    assert minion.control.observe() == minion.desired()
    assert (await minion.control.put(minion.desired())).action == "none"
    os.kill(by_hand.pid, signal.SIGTERM)
    by_hand.wait()
    await minion.ended(End.STOPPED)
    minion.control.close()


async def test_a_fifo_that_keepalived_made_is_followed_over_a_reload(nodes: tuple[Node, Node]) -> None:
    """At boot it may be there before the minion; what it made it removes at a reload, and makes again."""
    node = nodes[0]
    node.paths.config.write_text(node.config(100))
    by_hand = node.spawn()
    assert await until(lambda: named_by(node.paths.children[0]) is not None and node.has_vip(), _SECONDS)
    minion = Minion(node)
    await minion.control.open()
    before = node.paths.fifo.stat().st_ino
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"
    assert node.paths.fifo.stat().st_ino != before
    node.ip("link", "set", "v1", "down")
    await minion.becomes("FAULT")
    assert len(minion.control._fifo._descriptors) == 1
    minion.control.close()
    by_hand.terminate()
    by_hand.wait()


async def test_a_fifo_that_keepalived_made_and_took_along_is_there_for_the_next(nodes: tuple[Node, Node]) -> None:
    """Stopped and started by an operator, after a boot at which it was there first."""
    node = nodes[0]
    node.paths.config.write_text(node.config())
    for word in ("first", "second"):
        by_hand = node.spawn()
        assert await until(lambda: named_by(node.paths.children[0]) is not None and node.has_vip(), _SECONDS), word
        if word == "first":
            minion = Minion(node)
            await minion.control.open()
            by_hand.terminate()
            by_hand.wait()
            await minion.ended(End.STOPPED)
            assert node.paths.fifo.is_fifo()
    await minion.becomes("BACKUP", "MASTER")
    minion.control.close()
    by_hand.terminate()
    by_hand.wait()


def _older(file: Path, seconds: float) -> Callable[[], bool]:
    """Tell whether the file changed at least so long ago."""
    import time

    return lambda: time.time() - file.stat().st_ctime > seconds


async def test_a_planted_fifo_stops_the_minion_with_a_clear_word(nodes: tuple[Node, Node]) -> None:
    """A plain file in its place."""
    node = nodes[0]
    node.paths.fifo.write_text("planted")
    with pytest.raises(FifoBlocked, match="no FIFO"):
        await Minion(node).control.open()


async def test_removing_it_leaves_nothing(minion: Minion) -> None:
    """No process, no file, no VIP, and no end to report: it was us."""
    await minion.master()
    assert (await minion.control.remove()).action == "stopped"
    assert minion.control.observe() is None
    assert not minion.node.has_vip()
    assert not minion.node.pids()
    assert minion.ends == []
