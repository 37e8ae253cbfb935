"""keepalived sees whether the minion lives: a real one, with the lines that a director's configuration has."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.bench.processes import until

from lbminion.errors import HostError
from lbminion.life import Life

from .keepalived_pair import Node, pair

pytestmark = pytest.mark.needs_root

LIVE = """
import asyncio, sys
from pathlib import Path
from lbminion.life import Life
async def serve():
    life = Life(Path(sys.argv[1]))
    await life.begin()
    print("alive", flush=True)
    await asyncio.sleep(3600)
asyncio.run(serve())
"""
TRACKING = """
vrrp_script lbminion {{
    script "/usr/bin/flock --nonblock --conflict-exit-code 0 {lock} /bin/false"
    interval {interval}
    timeout 2
    fall {fall}
    rise 1
    weight -100
}}
"""


class Director:
    """One node with its keepalived, and a process that holds the lock as the minion does."""

    def __init__(self, node: Node, priority: int, interval: int, fall: int, words: str = "") -> None:
        self.node, self.lock = node, node.paths.runtime / "alive.lock"
        tracking = TRACKING.format(lock=self.lock, interval=interval, fall=fall)
        head = "\nvrrp_instance web {"
        # A peer that is not heard for three adverts is taken over from: longer than a busy machine stands still.
        text = (
            node.config(priority)
            .replace("advert_int 0.2", "advert_int 0.5")
            .replace(head, f"{tracking}{head}\n{words}")
        )
        node.paths.config.write_text(
            text.replace("    virtual_ipaddress", "    track_script {\n        lbminion\n    }\n    virtual_ipaddress")
        )
        self.minion: subprocess.Popen[str] | None = None

    def start_minion(self) -> None:
        self.minion = subprocess.Popen([sys.executable, "-c", LIVE, str(self.lock)], stdout=subprocess.PIPE, text=True)
        assert self.minion.stdout is not None
        assert self.minion.stdout.readline() == "alive\n"

    def kill_minion(self) -> None:
        assert self.minion is not None
        assert self.minion.stdout is not None
        self.minion.send_signal(signal.SIGKILL)
        self.minion.wait(5)
        self.minion.stdout.close()
        self.minion = None

    def count(self, words: str) -> int:
        """How often keepalived's log has these words."""
        return self.node.paths.log.read_text().count(words)


@contextmanager
def directors(folder: Path, interval: int, fall: int, words: str = "") -> Iterator[tuple[Director, Director]]:
    """Two directors whose minions live; the first is MASTER. `words` go into each one's instance."""
    with pair(folder) as nodes:
        both = tuple(
            Director(node, priority, interval, fall, words) for node, priority in zip(nodes, (200, 150), strict=True)
        )
        processes = []
        try:
            for director in both:
                director.start_minion()
                processes.append(director.node.spawn())
            wait(both[0].node.has_vip, "the first is MASTER", 15)
            yield both[0], both[1]
        finally:
            for director in both:
                if director.minion is not None:
                    director.kill_minion()
            for node in nodes:
                node.kill_all()
            for process in processes:
                process.wait(5)


def wait(look: Callable[[], object], what: str, within: float = 30) -> None:
    until(look, what, within, pause=0.05)


def test_a_director_whose_minion_was_killed_gives_up_its_vip_and_takes_it_again(tmp_path: Path) -> None:
    """With the very numbers of a director: after about ten seconds, to one whose minion lives."""
    with directors(tmp_path, interval=2, fall=5) as (one, two):
        one.kill_minion()
        begun = time.monotonic()
        wait(two.node.has_vip, "the second has the VIP")
        print(f"from the minion's death to the VIP's move: {time.monotonic() - begun:.1f} s")  # noqa: T201
        wait(lambda: not one.node.has_vip(), "the first has it no more")
        one.start_minion()
        wait(one.node.has_vip, "the first has it again")
        wait(lambda: not two.node.has_vip(), "the second has it no more")


@pytest.mark.pitfall("V18")
def test_without_any_minion_the_vip_stays_where_it_is(tmp_path: Path) -> None:
    """The data plane outlives the control plane: all priorities fall alike."""
    with directors(tmp_path, interval=1, fall=2) as (one, two):
        two.kill_minion()
        wait(lambda: two.count("effective priority from 150 to 50"), "the second's priority falls")
        one.kill_minion()
        wait(lambda: one.count("effective priority from 200 to 100"), "the first's priority falls")
        assert one.node.has_vip()
        assert not two.node.has_vip()
        assert two.count("Entering MASTER STATE") == 0
        assert one.count("Entering BACKUP STATE") == 1


def test_with_nopreempt_a_vip_stays_with_the_director_whose_minion_is_dead(tmp_path: Path) -> None:
    """What docs/operations.md says: keepalived hands over to nobody while the MASTER itself goes on."""
    with directors(tmp_path, interval=1, fall=2, words="    nopreempt") as (one, two):
        one.kill_minion()
        wait(lambda: one.count("effective priority from 200 to 100"), "the first's priority falls")
        # The second looks as often as the first. When its own minion's death has been noticed, it has heard many
        # advertisements (one in 0.5 s) of a lower priority than its own.
        two.kill_minion()
        wait(lambda: two.count("effective priority from 150 to 50"), "the second's priority falls")
        assert one.node.has_vip()
        assert two.count("Entering MASTER STATE") == 0
        one.node.kill_all()
        wait(two.node.has_vip, "the second has the VIP when the first is gone")


def test_a_minion_that_restarts_in_time_moves_nothing(tmp_path: Path) -> None:
    """An upgrade takes a second or two: some looks fail, and none of the priorities falls."""
    with directors(tmp_path, interval=1, fall=5) as (one, two):
        one.kill_minion()
        one.start_minion()
        two.kill_minion()  # its priority falls after as many looks as the first's would have
        wait(lambda: two.count("effective priority from 150 to 50"), "the second's priority falls")
        assert one.count("effective priority") == 0
        assert one.count("Entering BACKUP STATE") == 1
        assert one.node.has_vip()


async def test_two_minions_cannot_serve_one_host(tmp_path: Path) -> None:
    """The second says so instead of fighting with the first; it may come when the first is gone."""
    first, second = Life(tmp_path / "alive.lock"), Life(tmp_path / "alive.lock")
    await first.begin()
    with pytest.raises(HostError, match=r"another lbminion serves this host: .*alive\.lock"):
        await second.begin()
    first.end()
    await second.begin()
    assert second.path.stat().st_mode & 0o777 == 0o600
    second.end()
    second.end()


async def test_the_lock_is_no_link_to_somewhere_else(tmp_path: Path) -> None:
    """What another user may have put there is not followed."""
    (tmp_path / "alive.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"alive\.lock"):
        await Life(tmp_path / "alive.lock").begin()
    assert not (tmp_path / "elsewhere").exists()
