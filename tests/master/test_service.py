"""The process: what stops it from starting says so, kill -9 loses nothing, and the control socket bears rubbish."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lbmaster import config as configuration
from lbmaster import identity
from lbmaster.config import Config, load
from lbmaster.control import Server
from lbmaster.errors import StartupError
from lbmaster.generations import RESERVE, Making
from lbmaster.requests import Request
from lbmaster.service import running
from lbmaster.store import open_store
from lbservice.keys import from_fingerprint
from lbwire.events import MinionStarted
from lbwire.messages import Events

from .conftest import HOSTS, WEB, Refusal, Site, ask, eventually
from .fake_minion import FakeMinion


async def start(config: Path, socket: Path) -> asyncio.subprocess.Process:
    """Start a real master, and wait until it answers."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lbmaster", "--config", str(config), "serve",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while True:
        try:
            await ask(socket, "ping")
        except (OSError, EOFError):
            assert process.returncode is None, "the master ended"
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        else:
            return process


async def kill(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def test_kill_9_in_a_stream_of_events_loses_none_that_was_acknowledged(tmp_path: Path) -> None:
    """Five times in a row; no cursor, generation or command number is used twice."""
    path = tmp_path / "master.toml"
    fingerprint = configuration.init(path, listen="127.0.0.1", state_dir=tmp_path / "s", runtime_dir=tmp_path / "r")
    text = "".join(f"{name}_port = 0\n" for name in ("broadcast", "uplink", "join"))
    path.write_text(path.read_text() + text)
    config, key = load(path), from_fingerprint(fingerprint)
    minion = FakeMinion("a")
    generations: list[int] = []
    cursors: dict[int, tuple[Any, ...]] = {}
    sent: list[Any] = []
    for life in range(5):
        process = await start(path, config.control_socket)
        try:
            ports = (await ask(config.control_socket, "ping"))[0]["ports"]
            if not life:
                token = (await ask(config.control_socket, "keys.token", ttl=60))[0]["token"]
                assert (await minion.join(ports, key, token)).state == "accepted"
            minion.connect(ports, key)
            await eventually(lambda: minion.seen)
            acked = max(minion.acks, default=(0, 0))
            # Go back to what the master said that it has.
            todo = [event for event in sent if (event.boot, event.sequence) > acked]
            if todo:
                minion.send(Events(*acked, tuple(todo)))
            target = acked[1] + len(todo) + 300
            while max(minion.acks, default=(0, 0))[1] < target:
                fresh = [minion.event(MinionStarted("x")) for _ in range(20)]
                before = (sent[-1].boot, sent[-1].sequence) if sent else (0, 0)
                sent += fresh
                minion.send(Events(*before, tuple(fresh)))
                await asyncio.sleep(0.002)
        finally:
            await kill(process)
        await minion.close()
        minion.seen.clear()
        with sqlite3.connect(config.database) as database:
            rows = database.execute("SELECT cursor, boot, sequence FROM journal WHERE minion = 'a'").fetchall()
        database.close()
        journalled = [(boot, sequence) for _, boot, sequence in rows]
        assert journalled == [(1, i) for i in range(1, len(journalled) + 1)]
        assert journalled[-1] >= max(minion.acks)
        for cursor, *what in rows:
            assert cursors.setdefault(cursor, tuple(what)) == tuple(what)
        store = open_store(config.database)
        generations.append(store.generations.begin("x", Making("", "", Request(), {}), lambda _: {}))
        store.close()
    assert generations == [1, 2, 3, 4, 5]


def test_command_numbers_are_never_used_twice(tmp_path: Path) -> None:
    """Not even those of a master that died without a word; what it had reserved is skipped."""
    used: list[int] = []
    for _ in range(3):
        store = open_store(tmp_path / "store.sqlite")
        used += [store.generations.next_command("web", broadcast=True) for _ in range(RESERVE + 7)]
        store.close()
    assert used == sorted(set(used))


async def test_kill_9_in_the_middle_of_a_push_ends_in_the_pushed_state(tmp_path: Path) -> None:
    """The restarted master goes on by itself."""
    path = tmp_path / "master.toml"
    fingerprint = configuration.init(path, listen="127.0.0.1", state_dir=tmp_path / "s", runtime_dir=tmp_path / "r")
    path.write_text(path.read_text() + "".join(f"{n}_port = 0\n" for n in ("broadcast", "uplink", "join")))
    config, key = load(path), from_fingerprint(fingerprint)
    minions = [FakeMinion(name) for name in HOSTS]
    process = await start(path, config.control_socket)
    try:
        ports = (await ask(config.control_socket, "ping"))[0]["ports"]
        for minion in minions:
            token = (await ask(config.control_socket, "keys.token", ttl=60))[0]["token"]
            await minion.join(ports, key, token)
            minion.connect(ports, key)
        # The first release that arrives is the last thing that this master does.
        minions[2].on_release = lambda: process.send_signal(signal.SIGKILL) if process.returncode is None else None
        with pytest.raises(EOFError):
            await ask(config.control_socket, "push", text=WEB)
        await process.wait()
        for minion in minions:
            await minion.close()
        minions[2].on_release = lambda: None
        process = await start(path, config.control_socket)
        ports = (await ask(config.control_socket, "ping"))[0]["ports"]
        for minion in minions:
            minion.boot, minion.last = 2, (0, 0)
            minion.connect(ports, key)
        await eventually(lambda: all(minion.applied.get("web") == 1 for minion in minions), 30)
    finally:
        if process.returncode is None:
            await kill(process)
        for minion in minions:
            await minion.close()


# --- what stops it from starting ------------------------------------------------------------------------------------


async def test_a_port_in_use_is_named_with_its_setting(site: Site, config: Config, tmp_path: Path) -> None:
    """And the way out."""
    other = tmp_path / "other"
    configuration.init(tmp_path / "other.toml", state_dir=other / "s", runtime_dir=other / "r")
    taken = Config(listen="127.0.0.1", broadcast_port=0, uplink_port=site.ports["uplink"], join_port=0,
                   state_dir=other / "s", runtime_dir=other / "r")  # fmt: skip
    with pytest.raises(StartupError, match=f"{site.ports['uplink']}.*uplink_port"):
        async with running(taken):
            pass
    assert (await site.ask("ping"))["ports"] == site.ports
    assert config.control_socket.exists()


async def test_a_second_master_in_the_same_runtime_directory_is_told(site: Site) -> None:
    """The first keeps its socket."""
    with pytest.raises(StartupError, match="another master"):
        await Server(site.config.control_socket, {}, (), "operator").start(0o600)
    assert await site.ask("ping")


async def test_without_init_the_way_out_is_init(config: Config) -> None:
    """No keys are made by accident."""
    with pytest.raises(StartupError, match="lbmaster init"):
        async with running(config):
            pass


async def test_keys_that_others_can_read_are_not_used(site: Site, config: Config) -> None:
    """The mode to set is named."""
    await site.stop()
    identity.signing_path(config.state_dir).chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        async with running(config):
            pass


async def test_a_database_that_is_none_is_named(site: Site, config: Config) -> None:
    """Nothing is overwritten."""
    await site.stop()
    for file in config.state_dir.glob("store.sqlite*"):
        file.unlink()
    config.database.write_bytes(b"not a database" * 100)
    with pytest.raises(StartupError, match=r"store\.sqlite"):
        async with running(config):
            pass
    assert config.database.read_bytes().startswith(b"not a database")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lisen = '*'", "lisen"), ("uplink_port = 70000", "uplink_port"), ("listen = 'here'", "neither an IP address"),
        ("[[reaction]]\non = 'x'\ndo = 'rm -rf /'", "reaction"), ("= 1", "Invalid"), ("lease = -1", "lease"),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, says: str) -> None:
    """By file and field; a reaction is never a command."""
    (tmp_path / "m.toml").write_text(text)
    with pytest.raises(StartupError, match=says):
        load(tmp_path / "m.toml")


def test_a_missing_configuration_is_no_default(tmp_path: Path) -> None:
    """A mistyped path must not make a stranger of the master."""
    with pytest.raises(StartupError, match="lbmaster init"):
        load(tmp_path / "m.toml")


def test_init_changes_nothing_that_is_there(tmp_path: Path) -> None:
    """Twice gives the same fingerprint, file and keys, all of them private."""

    def snapshot() -> dict[Path, tuple[bytes, int]]:
        return {p: (p.read_bytes(), p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file()}

    path = tmp_path / "etc" / "master.toml"
    first = configuration.init(path, state_dir=tmp_path / "s", runtime_dir=tmp_path / "r")
    before = snapshot()
    assert configuration.init(path, state_dir=tmp_path / "elsewhere", runtime_dir=tmp_path / "r") == first
    assert snapshot() == before
    assert all(mode & 0o077 == 0 for p, (_, mode) in before.items() if p.suffix == ".key")


# --- the control socket ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line", [b"{}", b"[]", b"\xff\xfe", b'{"verb": "explode"}', b'{"verb": 1}', b"[" * 5000, b'{"verb":"push"}']
)
async def test_a_request_that_is_none_is_answered_as_bad(site: Site, line: bytes) -> None:
    """And the next one is served."""
    reader, writer = await asyncio.open_unix_connection(site.config.control_socket)
    writer.write(line + b"\n")
    assert b'"kind":"bad_request"' in await reader.readline()
    writer.close()
    assert await site.ask("ping")


async def test_the_events_socket_knows_events_only(site: Site) -> None:
    """Whoever may subscribe may not push."""
    for verb in ("push", "keys.token", "status", "ping"):
        with pytest.raises(Refusal) as refusal:
            await ask(site.config.events_socket, verb)
        assert refusal.value.kind == "not_allowed"
    assert site.config.control_socket.stat().st_mode & 0o777 == 0o600
    assert site.config.events_socket.stat().st_mode & 0o777 == 0o660
