"""The ends of a real keepalived: stopped by an operator, killed, restarted, and what the minion makes of each."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from msgspec import structs

from lbminion.keepalived import control, manager
from lbminion.keepalived.control import Appeared, Control, Ended, Occurrence
from lbminion.keepalived.ends import End
from lbminion.keepalived.errors import StopFailed
from lbminion.keepalived.leftovers import leftovers, remove_leftovers
from lbminion.keepalived.manager import Child
from lbminion.keepalived.process import alive, find, named_by, survivors
from lbminion.keepalived.waiting import until
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived

from .keepalived_minion import SECONDS, Minion, pid_of
from .keepalived_pair import VIP, Node

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]


def _blocking(look: Callable[[], bool]) -> bool:
    """Wait as `until` does, but without a turn of the loop."""
    deadline = time.monotonic() + SECONDS
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    return look()


async def test_an_operators_stop_is_told_and_held(minion: Minion, nodes: tuple[Node, Node]) -> None:
    """The peer takes over; no plan starts keepalived again, a push does."""
    await minion.master()
    peer = nodes[1]
    peer.paths.config.write_text(peer.config(100))
    other = peer.spawn()
    assert await until(lambda: named_by(peer.paths.children[0]), SECONDS)
    os.kill(pid_of(minion), signal.SIGTERM)
    await minion.ended(End.STOPPED)
    assert minion.states[-1] == "STOP"
    assert minion.control.held
    assert not minion.node.has_vip()
    assert await until(peer.has_vip, SECONDS)
    assert (await minion.control.put(minion.desired())).action == "held"
    assert find(minion.node.paths) is None
    assert minion.control.release_hold()
    assert (await minion.control.put(minion.desired())).action == "started"
    peer.kill_all()
    other.wait()


async def test_a_keepalived_that_is_ending_is_not_started_again_by_who_looks_at_that_moment(minion: Minion) -> None:
    """Its pid file goes first: until it has ended nobody knows whether an operator stopped it."""
    await minion.master()
    pid = pid_of(minion)
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
    pid = pid_of(minion)
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
    pid = pid_of(minion)
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
    told, pid = len(minion.told), pid_of(minion)
    os.kill(pid, signal.SIGTERM)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop must not turn
    by_hand = minion.node.spawn()
    assert _blocking(lambda: "BACKUP STATE" in minion.node.paths.log.read_text().rpartition("Stopped")[2])
    assert minion.control.observe() == minion.desired()
    ends = [it for it in minion.told[told:] if isinstance(it, Ended | Appeared)]
    assert ends == [Ended(End.STOPPED, pid), Appeared(pid_of(minion), cleared_hold=True)]
    assert not minion.control.held
    await minion.becomes("BACKUP", "MASTER")
    os.kill(pid_of(minion), signal.SIGTERM)
    by_hand.wait()


async def test_who_starts_a_dead_keepalived_before_the_minion_does_is_left_alone(
    minion: Minion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pid files and its child are not the dead one's remains."""
    await minion.master()
    os.kill(pid_of(minion), signal.SIGKILL)
    await minion.ended(End.DIED)
    started: list[subprocess.Popen[bytes]] = []

    async def meanwhile(look: Callable[[], object], within: float) -> object:
        if not started:
            assert await until(lambda: not survivors(minion.node.paths), SECONDS)
            started.append(minion.node.spawn())
            assert await until(lambda: survivors(minion.node.paths), SECONDS)
        return await until(look, within)

    monkeypatch.setattr(manager, "until", meanwhile)
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"
    monkeypatch.undo()
    assert pid_of(minion) == started[0].pid
    await minion.becomes("BACKUP", "MASTER")
    os.kill(pid_of(minion), signal.SIGTERM)
    started[0].wait()


async def test_an_operators_start_ends_the_hold(minion: Minion) -> None:
    """keepalived's first line in the FIFO makes the minion look, and adopt what it finds."""
    await minion.master()
    os.kill(pid_of(minion), signal.SIGTERM)
    await minion.ended(End.STOPPED)
    by_hand = minion.node.spawn()
    await minion.becomes("STOP", "BACKUP", "MASTER")
    assert Appeared(pid_of(minion), cleared_hold=True) in minion.told
    assert not minion.control.held
    os.kill(pid_of(minion), signal.SIGKILL)
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
    assert await until(lambda: not minion.node.has_vip(), SECONDS) or minion.states[-1] == "MASTER"
    await minion.becomes("BACKUP", "MASTER")
    assert await until(minion.node.has_vip, SECONDS)


async def test_a_killed_parent_is_a_death_although_its_child_says_stop(minion: Minion) -> None:
    """The kernel tells the child to end, and it says STOP like one whose operator wanted it; healed all the same."""
    await minion.master()
    os.kill(pid_of(minion), signal.SIGKILL)
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
    os.kill(pid_of(minion), signal.SIGKILL)
    await minion.ended(End.DIED)
    assert (await minion.control.put(minion.desired())).action == "started"
    # One that is dying is nobody any more a moment before it is gone.
    assert await until(lambda: not alive(child), SECONDS)
    await minion.becomes("BACKUP", "MASTER")


async def test_a_killed_child_is_keepaliveds_own_business(minion: Minion) -> None:
    """The parent starts another: BACKUP, MASTER, and no end."""
    await minion.master()
    (child,) = survivors(minion.node.paths)
    os.kill(child.pid, signal.SIGKILL)
    await minion.becomes("MASTER", "BACKUP", "MASTER")
    assert minion.ends == []
    assert minion.control.observe() == minion.desired()


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
    assert await until(lambda: not alive(process), SECONDS)
    told: list[Occurrence] = []
    for _ in range(2):
        successor = Control(minion.node.paths, Child(), told.append)
        await successor.open()
        assert successor.held is (fell is End.STOPPED)
        successor.close()
    assert [occurrence for occurrence in told if isinstance(occurrence, Ended)] == [Ended(fell, process.pid)]
