"""VIPs that a push adds to an instance or takes from it, with two real keepalived that reload one after the other (V4)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import until

from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import render
from lbstates.vrrp import Vip, VrrpInstance

from .keepalived_pair import Node, pair

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]

FAMILIES = {
    "IPv4": tuple(f"10.77.0.{number}/24" for number in (100, 101, 102)),
    "IPv6": tuple(f"fd77::{number}/64" for number in (100, 101, 102)),
}
HOSTS = {f"d{number}": Host(f"10.77.0.{number}", f"fd77::{number}") for number in (1, 2)}
ADVERT = 0.5
APART = 2.5
"""Seconds between the two reloads: more than three adverts are missing by then."""


class Directors:
    """Both nodes with a keepalived each; the first one is MASTER."""

    def __init__(self, nodes: tuple[Node, Node]) -> None:
        self.nodes = nodes
        self.processes: list[subprocess.Popen[bytes]] = []
        for node in nodes:
            six = ("addr", "add", f"fd77::{node.number}/64", "dev", f"v{node.number}", "nodad")
            node.ip(*six)
            until(lambda node=node: "tentative" not in node.ip("-6", "addr", "show"), "addresses")  # type: ignore[misc]

    def start(self, *vips: str, first: bool = True) -> None:
        for node in self.nodes:
            self._write(node, vips, first=first)
            self.processes.append(node.spawn())
        until(lambda: self.has(0) >= set(vips) and not self.has(1) & set(vips), self.logs)

    def reload(self, place: int, *vips: str, first: bool = True) -> None:
        self._write(self.nodes[place], vips, first=first)
        os.kill(self.processes[place].pid, signal.SIGHUP)

    def has(self, place: int) -> set[str]:
        """The addresses of a node."""
        lines = self.nodes[place].ip("-o", "addr", "show", "dev", f"v{place + 1}").splitlines()
        return {line.split()[3] for line in lines}

    def watch(self, *vips: str, seconds: float = APART) -> None:
        """See for so long that the first node has them, and the second one none."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            here, there = self.has(0), self.has(1)
            assert not there & {*FAMILIES["IPv4"], *FAMILIES["IPv6"]}, self.logs()
            assert here >= set(vips), self.logs()

    def logs(self) -> str:
        return "\n".join(node.paths.log.read_text() for node in self.nodes)

    def lines(self, place: int) -> list[str]:
        return self.nodes[place].ip("-o", "-6", "addr", "show").splitlines()

    def _write(self, node: Node, vips: tuple[str, ...], *, first: bool) -> None:
        instance = VrrpInstance(
            "web", 51, tuple(map(Vip, vips)), {"d1": 250, "d2": 240}, advert_interval=ADVERT, advertise_first=first
        )
        state = DirectorState("c", HOSTS, (instance,), ())
        name = f"d{node.number}"
        interfaces = dict.fromkeys(HOSTS[name].addresses, f"v{node.number}")
        facts = HostFacts(interfaces, "2.2.7", str(node.paths.fifo))
        node.paths.config.write_text(render(state, name, facts))


@pytest.fixture
def directors(tmp_path: Path) -> Iterator[Directors]:
    """Two directors on one wire."""
    with pair(tmp_path) as nodes:
        both = Directors(nodes)
        yield both
    for process in both.processes:
        process.wait(30)


@pytest.mark.pitfall("V4")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_vip_is_added_and_removed_by_reloads_seconds_apart(family: str, directors: Directors) -> None:
    """Never a second MASTER; those that stay are there all the time, the new one comes with the MASTER's reload."""
    a, b, c = FAMILIES[family]
    directors.start(a, b)
    directors.reload(1, a, b, c)
    directors.watch(a, b)
    directors.reload(0, a, b, c)
    until(lambda: directors.has(0) >= {a, b, c}, directors.logs)
    directors.watch(a, b, c)
    assert all("deprecated" in line for line in directors.lines(0) if any(vip in line for vip in (a, b, c)))
    directors.reload(1, a, c)
    directors.watch(a, c)
    directors.reload(0, a, c)
    until(lambda: b not in directors.has(0), directors.logs)
    directors.watch(a, c)


@pytest.mark.pitfall("V4")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", ["all to first", "another first"])
def test_the_list_changes_on_both_at_once(family: str, change: str, directors: Directors) -> None:
    """No second MASTER, and no address is lost for longer than the reload takes."""
    a, b, c = FAMILIES[family]
    directors.start(a, b, c, first=change != "all to first")
    wanted = (a, b, c) if change == "all to first" else (b, c)
    for place in (1, 0):
        directors.reload(place, *wanted)
    until(lambda: directors.has(0) >= set(wanted), directors.logs, 5)
    directors.watch(*wanted)
