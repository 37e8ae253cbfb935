"""`lbminion run`: what it leaves alone as a process that may not serve, and what it does every second."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from lbmaster.view import Counted
from lbminion.config import Config, Master, write_config
from lbminion.delivery import PATIENCE_TICKS
from lbminion.errors import HostError, NoAnswer, NoIpvs
from lbminion.life import Life, lock_in
from lbminion.netlink.ipvs_statistics import DestinationStatistics
from lbminion.netlink.ipvs_table import Snapshot, Statistics, Table
from lbminion.product import PRODUCT
from lbminion.sampler import NO_TABLE, Sampler
from lbminion.service import Minion
from lbminion.spool import Spool
from lbminion.store import open_store
from lbservice.keys import fingerprint
from lbwire import events
from lbwire.messages import FromMinion, Hello, Sample

LBMINION = Path(sys.executable).parent / "lbminion"
SECONDS = 60


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Describe a host whose directories are there, and empty."""
    master = Master("127.0.0.1", 9, 9, fingerprint(zmq.curve_keypair()[0]), "00" * 32)
    state, runtime, keepalived = (str(tmp_path / name) for name in ("state", "runtime", "keepalived.conf"))
    config = Config("r1", master, state, runtime, keepalived, keepalived_manager="child")
    write_config(tmp_path / "minion.toml", config)
    config.state.mkdir()
    config.runtime.mkdir()
    return config


def kept(config: Config) -> list[list[tuple[Any, ...]]]:
    """Read all that a minion keeps and has to tell."""
    with closing(sqlite3.connect(config.state / "minion.sqlite")) as connection:
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("kept", "event")]


async def run_beside(config: Config) -> subprocess.CompletedProcess[str]:
    """Run a minion while another one has the lock."""
    life = Life(lock_in(config.runtime))
    await life.begin()
    command = [str(LBMINION), "--config", str(config.state.parent / "minion.toml"), "run"]
    try:
        return await asyncio.to_thread(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        )
    finally:
        life.end()


async def test_a_second_minion_takes_no_number_from_the_one_that_serves(config: Config) -> None:
    """Events count by (boot, sequence): those of the first would all be older than what the second had told."""
    with closing(open_store(config.state)) as connection:
        spool = Spool(connection, lambda: None)
        spool.add(events.MinionStarted(PRODUCT))
        spool.flush()
        before = kept(config)
        done = await run_beside(config)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("lbminion: another lbminion serves this host: ")
        assert kept(config) == before
        assert [len(rows) for rows in before] == [1, 1]


async def test_a_second_minion_makes_nothing(config: Config) -> None:
    """Neither a database nor a key: it does not know whether the first one is about to."""
    done = await run_beside(config)
    assert done.returncode == 1
    assert not list(config.state.iterdir())


@pytest.fixture
async def minion(config: Config) -> AsyncIterator[Minion]:
    """Put a minion together that does not run."""
    minion = Minion(msgspec.structs.replace(config, sample_interval=0.01))
    link = minion._link
    yield minion
    link._context.destroy(0)
    await minion._addresses.close()
    minion._host.close()


class Linked:
    """A link to a master that says nothing, or that is not there; collects what is to be sent."""

    def __init__(self, *, online: bool) -> None:
        self.online, self.accepted = online, True
        self.sent: list[FromMinion] = []

    def send(self, message: FromMinion) -> bool:
        self.sent.append(message)
        return self.online


@pytest.mark.parametrize("online", [True, False])
async def test_a_hello_without_an_answer_is_said_again(
    minion: Minion, monkeypatch: pytest.MonkeyPatch, *, online: bool
) -> None:
    """Else no event of this connection would ever be sent. And all is sampled anew, which was not heard either.

    Not to a master that is not there: a new connection begins with a hello.
    """
    monkeypatch.setattr(type(minion._reconciler), "looked", True)
    link = minion._link = Linked(online=online)  # type: ignore[assignment]
    ticks = 0

    def count() -> None:
        nonlocal ticks
        ticks += 1

    minion._health.flush = count  # type: ignore[method-assign]
    ticking = asyncio.create_task(minion._tick())
    async with asyncio.timeout(SECONDS):
        while ticks < 2 * PATIENCE_TICKS + 1:
            await asyncio.sleep(0)
    ticking.cancel()
    hellos = [at for at, message in enumerate(link.sent) if isinstance(message, Hello)]
    assert len(hellos) == (2 if online else 0)
    for at in hellos:
        following = link.sent[at + 1]
        assert isinstance(following, Sample)
        assert following.full


async def test_what_was_counted_last_stands_while_the_table_cannot_be_read(
    minion: Minion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain waits for connections to end, and must not take one bad reading for that; a kernel without IPVS has none."""
    counted = Snapshot(Table({}, {}, {}), Statistics({}, {"one": DestinationStatistics(*range(12))}))
    readings = iter([counted, HostError("no such service"), NoAnswer("late"), NoIpvs(), counted, None])

    def snapshot() -> Snapshot | None:
        reading = next(readings)
        if isinstance(reading, Exception):
            raise reading
        return reading

    monkeypatch.setattr(minion._host.ipvs, "snapshot", snapshot)
    assert [minion._count() for _ in range(6)] == [counted, counted, counted, NO_TABLE, counted, NO_TABLE]


async def test_a_table_that_was_not_read_yet_is_not_told_to_be_empty(
    minion: Minion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minion that restarts while a push drains: the master goes on with what it heard before, until the first look."""
    before, now = (Snapshot(Table({}, {}, {}), _counting(connections)) for connections in (7, 5))
    link = Linked(online=True)
    minion._link = link  # type: ignore[assignment]
    looked, snapshot = False, None
    monkeypatch.setattr(type(minion._reconciler), "looked", property(lambda _: looked))
    monkeypatch.setattr(minion._host.ipvs, "snapshot", lambda: snapshot)
    counted = Counted()
    counted.take(Sample(0.0, {}, {}, 0, **Sampler().take(before)._asdict()))

    def sampled() -> int:
        minion._sample()
        sample = link.sent[-1]
        assert isinstance(sample, Sample)
        counted.take(sample)
        return sum(figures.connections for figures in counted.destinations.values())

    assert [sampled(), sampled()] == [7, 7]
    looked, snapshot = True, now
    assert [sampled(), sampled()] == [5, 5]
    snapshot = None
    assert sampled() == 0


def _counting(connections: int) -> Statistics:
    return Statistics({}, {"one": DestinationStatistics(connections, *range(11))})
