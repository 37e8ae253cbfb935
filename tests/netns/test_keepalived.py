"""The minion's keepalived, with a real one over a veth pair: started, reloaded, flapping, adopted. How it ends: test_keepalived_ends.py."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lbminion.keepalived import control, marks
from lbminion.keepalived.ends import End
from lbminion.keepalived.errors import ConfigRefused, FifoBlocked
from lbminion.keepalived.process import named_by
from lbminion.keepalived.transitions import Transition
from lbminion.keepalived.waiting import until
from lbstates.kinds.keepalived import Keepalived

from .keepalived_minion import SECONDS, Minion, pid_of
from .keepalived_pair import VIP, Node

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]


async def test_it_is_started_once_and_then_left_alone(minion: Minion) -> None:
    """Observed equals desired, and putting the same again changes nothing."""
    assert minion.control.observe() is None
    await minion.master()
    pid = pid_of(minion)
    assert minion.control.observe() == minion.desired()
    assert (await minion.control.put(minion.desired())).action == "none"
    assert pid_of(minion) == pid
    assert minion.told == [Transition("web", "BACKUP", 200, None), Transition("web", "MASTER", 200, "BACKUP")]


@pytest.mark.pitfall("V15")
async def test_a_new_text_is_reloaded_without_a_transition(minion: Minion) -> None:
    """The same process, still MASTER, the VIP never gone; the dump shows the new priority."""
    await minion.master()
    pid, told = pid_of(minion), list(minion.told)
    assert (await minion.control.put(minion.desired(150))).action == "reloaded"
    assert pid_of(minion) == pid
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


@pytest.mark.pitfall("V13")
async def test_a_vip_deleted_by_hand_is_a_flap_that_the_peer_never_sees(
    minion: Minion, nodes: tuple[Node, Node]
) -> None:
    """MASTER, BACKUP, MASTER is told as it was, the VIP is back, and the peer never had it."""
    await minion.master()
    peer = nodes[1]
    peer.paths.config.write_text(peer.config(100))
    other = peer.spawn()
    assert await until(lambda: named_by(peer.paths.children[0]), SECONDS)
    minion.node.ip("addr", "del", f"{VIP}/32", "dev", "v1")
    await minion.becomes("MASTER", "BACKUP", "MASTER")
    assert await until(minion.node.has_vip, SECONDS)
    assert b"Entering MASTER STATE" not in peer.paths.log.read_bytes()
    peer.kill_all()
    other.wait()


async def test_the_next_minion_adopts_it_untouched(minion: Minion) -> None:
    """The same process, the same text, and its state from the dump, since the FIFO says nothing now."""
    await minion.master()
    pid = pid_of(minion)
    minion.control.close()
    successor = Minion(minion.node)
    await successor.control.open()
    assert successor.told == [Transition("web", "MASTER", 200, None)]
    assert successor.control.observe() == minion.desired()
    assert (await successor.control.put(minion.desired())).action == "none"
    assert pid_of(successor) == pid
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
    assert await until(later.done, SECONDS)
    assert await successor.control.look() is not None
    assert successor.told == [Transition("web", "MASTER", 200, None)]
    successor.control.close()


async def test_a_keepalived_that_was_there_before_the_minion_is_adopted(nodes: tuple[Node, Node]) -> None:
    """systemd started it at boot with the file of the last push: no reload is needed, and none is made."""
    node = nodes[0]
    node.paths.config.write_text(node.config())
    assert await until(_older(node.paths.config, 1.2), SECONDS)
    by_hand = node.spawn()
    assert await until(lambda: named_by(node.paths.children[0]), SECONDS)
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
    assert await until(lambda: named_by(node.paths.children[0]) is not None and node.has_vip(), SECONDS)
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
        assert await until(lambda: named_by(node.paths.children[0]) is not None and node.has_vip(), SECONDS), word
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
