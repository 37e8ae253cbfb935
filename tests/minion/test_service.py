"""`lbminion run` as a process: what it leaves alone when it may not serve."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq

from lbminion.config import Config, Master, write_config
from lbminion.life import Life, lock_in
from lbminion.product import PRODUCT
from lbminion.spool import Spool
from lbminion.store import open_store
from lbservice.keys import fingerprint
from lbwire import events

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
