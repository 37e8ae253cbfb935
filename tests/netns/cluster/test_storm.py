"""Ten thousand transitions in a second, and outages in the middle of them: all are told, once, in order, with bounded memory.

The lines are written to the real FIFO of a real minion, as fast as it takes them.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from benchmarks.bench.processes import resident

from lbmaster.client import Event, events

from .place import SECONDS, Host, Place, until

STORM = 10_000
TRANSITION = "vrrp.transition"


def write_storm(host: Host, count: int = STORM) -> None:
    """Let keepalived's FIFO say BACKUP and MASTER in turn, as fast as the minion reads it."""
    lines = b"".join(b'INSTANCE "www" %s 100\n' % word for word in (b"BACKUP", b"MASTER"))
    with (host.runtime / "vrrp.fifo").open("wb", buffering=0) as fifo:
        for _ in range(count // 1000):
            os.write(fifo.fileno(), lines * 500)


def unread(host: Host) -> int:
    """Tell how many bytes wait in the FIFO."""
    descriptor = os.open(host.runtime / "vrrp.fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(descriptor)


def told(host: Host, since: int, least: int) -> list[dict[str, Any]]:
    """Wait until so many transitions of a host are journalled."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        new = host.events(TRANSITION, since=found[-1]["cursor"] if found else since)
        found.extend(new)
        return len(found) >= least

    host.until(enough, f"{least} transitions are journalled", within=90)
    return found


def in_order(identities: Sequence[tuple[int, int]]) -> bool:
    return all(a < b for a, b in itertools.pairwise(identities))


def spooled(host: Host) -> int:
    with sqlite3.connect(host.state / "minion.sqlite") as database:
        (count,) = database.execute("SELECT count(*) FROM event").fetchone()
    database.close()
    return int(count)


def commands(place: Place) -> int:
    """Tell the number of the last command that went to the whole cluster."""
    with sqlite3.connect(place.folder / "state" / "store.sqlite") as database:
        (number,) = database.execute("SELECT broadcast FROM cluster WHERE name = 'web'").fetchone()
    database.close()
    return int(number)


class Subscriber:
    """Follows the journal through the master's restarts, in a thread of its own."""

    def __init__(self, place: Place, since: int) -> None:
        self.seen: list[tuple[float, Event]] = []
        self._socket, self._since = place.folder / "run" / "events.sock", since
        self._loop = asyncio.new_event_loop()
        self._following = self._loop.create_task(self._follow())
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._following.cancel)
        self._thread.join(SECONDS)
        self._loop.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._following)
        except asyncio.CancelledError:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    async def _follow(self) -> None:
        async for event in events(self._since, socket=self._socket):
            self.seen.append((time.time(), event))

    def of(self, host: Host, event_type: str = TRANSITION) -> list[Event]:
        return [event for _, event in list(self.seen) if event.minion == host.name and event.type == event_type]


@pytest.fixture
def director(place: Place, server: Host) -> Host:
    """The director of the pushed cluster, at rest."""
    host = place.hosts["d1"]
    host.until(lambda: host.reported()["sample"]["roles"].get("www", {}).get("state") == "MASTER", "it holds the VIP")
    return host


@pytest.fixture
def host(joined: Host) -> Host:
    """A host that runs, and has no part in a cluster."""
    joined.start()
    return joined


def test_a_storm_is_journalled_once_and_in_order_and_answered_with_few_reconciles(place: Place, director: Host) -> None:
    """Minion and master digest it within seconds, and neither grows by more than a few MB."""
    assert director.process is not None
    write_storm(director, 2000)  # so that what is loaded and cached at first is there
    told(director, 0, 2000)
    director.until(lambda: not spooled(director), "the spool is empty")
    pids = (director.process.pid, place._master.pid)
    before = [resident(pid) for pid in pids]
    since, reconciles = place.cursor(), commands(place)
    write_storm(director)
    found = told(director, since, STORM)
    grown = [resident(pid) - old for pid, old in zip(pids, before, strict=True)]
    reconciles = commands(place) - reconciles
    assert [event["data"]["state"] for event in found[:STORM]] == ["BACKUP", "MASTER"] * (STORM // 2)
    assert in_order([(event["boot"], event["sequence"]) for event in found])
    assert len(place.events("failover", since=since)) <= 2
    assert reconciles <= 40
    assert max(grown) < 64


def test_what_happened_in_an_outage_reaches_a_subscriber_once_and_in_order_whatever_is_killed(
    place: Place, host: Host
) -> None:
    """Thousands of events wait; the minion is killed while it delivers them, and so is the master, twice."""
    with Subscriber(place, place.cursor()) as subscriber:
        place.stop_master(signal.SIGKILL)
        write_storm(host)
        host.until(lambda: spooled(host) >= STORM, "all is on the disk")
        place.start_master()
        until(lambda: len(subscriber.of(host)) >= 100, "delivery has begun", SECONDS)
        host.stop(signal.SIGKILL)
        place.stop_master(signal.SIGKILL)
        place.start_master()
        host.start(online=False)
        until(lambda: len(subscriber.of(host)) >= STORM // 4, "it goes on", 60)
        place.stop_master(signal.SIGKILL)
        place.start_master()
        until(lambda: subscriber.of(host, "minion.started"), "the new minion has told all", 90)
        seen = [event for _, event in subscriber.seen]
    transitions = [event for event in seen if event.minion == host.name and event.type == TRANSITION]
    assert [event.data["state"] for event in transitions] == ["BACKUP", "MASTER"] * (STORM // 2)
    assert in_order([(event.boot, event.sequence) for event in seen if event.minion == host.name])
    assert in_order([(event.cursor, 0) for event in seen])
    assert not [event for event in seen if event.type == "events.lost"]


# --- subscribers ----------------------------------------------------------------------------------------------------

SCRIPT = """
import asyncio, sys, lbmaster.client
async def main():
    async for event in lbmaster.client.events(int(sys.argv[2]), socket=sys.argv[1]):
        print(event.cursor, flush=True)
asyncio.run(main())
"""


@contextmanager
def stopped_subscriber(place: Place, since: int, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that follows the journal, and is stopped as soon as it has seen something."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(place.folder / "run" / "events.sock"), str(since)], stdout=file
        )
    try:
        until(lambda: output.stat().st_size, "it follows", SECONDS)
        process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait(SECONDS)


def test_a_stopped_subscriber_costs_the_others_nothing_and_catches_up(place: Place, host: Host, tmp_path: Path) -> None:
    """Neither time nor memory of the master's; when it runs again it gets everything, once and in order."""
    since = place.cursor() - 1
    first, second = tmp_path / "first", tmp_path / "second"
    write_storm(host, 2000)
    told(host, since, 2000)
    before = resident(place._master.pid)
    with stopped_subscriber(place, since, first) as one, stopped_subscriber(place, since, second):
        with Subscriber(place, place.cursor()) as quick:
            for _ in range(3):
                write_storm(host)
            until(lambda: len(quick.of(host)) >= 3 * STORM, "the quick one has all", 90)
            assert max(seen - event.received for seen, event in quick.seen) < 20
        grown = resident(place._master.pid) - before
        assert grown < 64
        last = place.cursor()
        one.send_signal(signal.SIGCONT)
        until(lambda: first.read_bytes().endswith(b"\n%d\n" % last), "it has caught up", 90)
    cursors = list(map(int, first.read_text().split()))
    assert cursors == list(range(since + 1, last + 1))


# --- a disk that is really full -------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(place: Place, stranger: Host) -> Iterator[Host]:
    """A host that has joined, whose state directory is a file system of 3 MB."""
    stranger.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", stranger.state], check=True)
    try:
        stranger.join()
        stranger.start()
        yield stranger
    finally:
        stranger.end()
        subprocess.run(["umount", "-l", stranger.state], check=True)


def fill(host: Host) -> Path:
    """Leave not a byte."""
    filler = host.state / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def test_transitions_of_a_host_whose_disk_is_full_reach_the_master_all_the_same(place: Place, small_disk: Host) -> None:
    """From memory, in order; with room again they wait on the disk as before."""
    since = place.cursor()
    filler = fill(small_disk)
    write_storm(small_disk, STORM)
    found = told(small_disk, since, STORM)
    assert "the disk takes none" in small_disk.log
    assert [event["data"]["state"] for event in found] == ["BACKUP", "MASTER"] * (STORM // 2)
    filler.unlink()
    place.stop_master()
    write_storm(small_disk, 1000)
    small_disk.until(lambda: spooled(small_disk) >= 1000, "they are on the disk")
    small_disk.until(lambda: "the disk takes events again" in small_disk.log, "it says so")
    place.start_master()
    found = told(small_disk, since, STORM + 1000)
    assert in_order([(event["boot"], event["sequence"]) for event in found])


def test_what_a_full_disk_and_an_absent_master_leave_in_memory_is_bounded_and_the_rest_is_counted(
    place: Place, small_disk: Host
) -> None:
    """Six times the storm: the newest are kept, `events.lost` stands before them and says how many are missing.

    What was on its way when the master went is kept as well: nobody knows whether it arrived.
    """
    assert small_disk.process is not None
    since = place.cursor()
    place.stop_master()
    fill(small_disk)
    before = resident(small_disk.process.pid)
    for _ in range(6):
        write_storm(small_disk)
    small_disk.until(lambda: not unread(small_disk), "the minion has read it all")
    small_disk.until(lambda: small_disk.reported().get("sample"), "it goes on")
    grown = resident(small_disk.process.pid) - before
    place.start_master()
    small_disk.until(lambda: small_disk.events("events.lost", since=since), "the loss is told", within=60)
    (lost,) = small_disk.events("events.lost", since=since)
    kept = told(small_disk, since, 6 * STORM - lost["data"]["count"])
    assert lost["data"]["types"] == {TRANSITION: 6 * STORM - len(kept)}
    identities = [(event["boot"], event["sequence"]) for event in small_disk.events(since=since)]
    assert in_order(identities)
    newest = [event["sequence"] for event in kept if event["sequence"] > lost["sequence"]]
    assert len(newest) > STORM
    assert newest[0] == lost["sequence"] + 1
    assert kept[-1]["data"]["state"] == "MASTER"
    assert grown < 64


def test_a_minion_that_is_killed_on_a_full_disk_starts_and_tells(place: Place, small_disk: Host) -> None:
    """It cannot keep the number of its boot, and takes a higher one all the same."""
    since = place.cursor()
    fill(small_disk)
    for times in (1, 2):
        small_disk.stop(signal.SIGKILL)
        small_disk.start()
        write_storm(small_disk, 1000)
        found = told(small_disk, since, 1000 * times)
    boots = [event["boot"] for event in found]
    assert boots == sorted(boots)
    assert len(set(boots)) == 2
