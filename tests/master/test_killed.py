"""A master that is killed in the middle of a rollout, in every phase: on its return it goes on, or back, as was decided.

The master is a process of its own and is ended by SIGKILL; its minions are fake, and come back as real ones do.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbmaster import config as configuration
from lbmaster.config import Config
from lbservice.keys import from_fingerprint
from lbwire.errors import ConflictingGeneration, StaleGeneration
from lbwire.messages import Figures, Health

from .conftest import HOSTS, WEB, Site, ask, eventually
from .fake_minion import FakeMinion

MORE = WEB.replace("port: 80", "port: 81")
CHECKED = WEB + "    check: {tcp: {}, interval: 0.2, timeout: 0.1, fall: 1}\n"
TO_R2 = "tcp 10.0.0.100:80 -> 10.0.0.12:80"
SETTINGS = """\
lease = 5.0
beacon = 0.2
split_brain_grace = 0.5
return_grace = 2.0
"""


def free_ports(number: int) -> list[int]:
    """Ports that nobody has now; they stay the same over restarts of the master."""
    sockets = [socket.socket() for _ in range(number)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Killable(Site):
    """A site of which the master is a process."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "master.toml"
        fingerprint = configuration.init(
            self.file, listen="127.0.0.1", state_dir=folder / "state", runtime_dir=folder / "run"
        )
        names = ("broadcast_port", "uplink_port", "join_port")
        ports = "".join(f"{name} = {port}\n" for name, port in zip(names, free_ports(3), strict=True))
        kept = [line for line in self.file.read_text().splitlines(keepends=True) if "_port" not in line]
        self.file.write_text("".join(kept) + ports + SETTINGS)
        self.config: Config = configuration.load(self.file)
        self.server_key = from_fingerprint(fingerprint)
        self.minions: dict[str, FakeMinion] = {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        arguments = ("-m", "lbmaster", "--config", str(self.file), "serve")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(30):
            while True:
                try:
                    self.ports = (await self.ask("ping"))["ports"]
                except (OSError, EOFError):
                    await asyncio.sleep(0.05)
                else:
                    return

    async def stop(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def killed_and_back(self) -> None:
        """SIGKILL, a new process, and the minions connect to that."""
        await self.stop()
        for minion in self.minions.values():
            await minion.close()
        await self.start()
        for minion in self.minions.values():
            minion.connect(self.ports, self.server_key)

    async def rollout(self) -> dict[str, Any]:
        found: dict[str, Any] | None = (await self.ask("status"))["clusters"]["web"]["rollout"]
        return found or {"phase": "", "waiting": [], "left": None}

    async def until(self, phase: str) -> None:
        async with asyncio.timeout(20):
            while (await self.rollout())["phase"] != phase:
                await asyncio.sleep(0.02)

    async def ended(self, generation: int) -> dict[str, Any]:
        """Wait for the end of the push of a generation."""
        async with asyncio.timeout(30):
            while True:
                for event in await self.events("push.finished"):
                    if event["data"]["generation"] == generation:
                        return dict(event["data"])
                await asyncio.sleep(0.05)

    def applied(self) -> list[int]:
        return [self.minions[host].applied["web"] for host in HOSTS]

    async def history(self) -> list[tuple[int, str, str]]:
        rows = (await self.ask("history", cluster="web"))["generations"]
        return [(row["generation"], row["kind"], row["status"]) for row in rows]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Killable]:
    site = Killable(tmp_path)
    await site.start()
    try:
        await site.cluster()
        yield site
        wrong = [
            refusal
            for minion in site.minions.values()
            for refusal in minion.refusals
            if isinstance(refusal, ConflictingGeneration | StaleGeneration)
        ]
        assert not wrong, "a generation was used twice, or went back"
    finally:
        for minion in site.minions.values():
            if minion._tasks:
                await minion.close()
        await site.stop()


async def begin(site: Killable, text: str, **options: Any) -> None:
    """Ask for a push, and do not wait for its end."""
    _, writer = await asyncio.open_unix_connection(site.config.control_socket)
    writer.write(json.dumps({"verb": "push", "text": text, "options": options}).encode() + b"\n")
    await writer.drain()
    async with asyncio.timeout(10):
        while not (await site.rollout())["phase"]:
            await asyncio.sleep(0.02)
    writer.close()


async def test_while_staging(site: Killable) -> None:
    """It goes on with the same number."""
    slow = site.minions["r1"]
    slow.obeys = False
    await begin(site, MORE)
    await site.until("staging")
    await site.killed_and_back()
    slow.obeys = True
    slow.hello()
    assert (await site.ended(2))["outcome"] == "converged"
    assert site.applied() == [2, 2, 2, 2]


async def test_in_the_middle_of_a_wave(site: Killable) -> None:
    """Who has applied is not asked again; who was told and did not is."""
    site.minions["r1"].loses_releases = 1
    await begin(site, MORE)
    await eventually(lambda: site.minions["r2"].applied["web"] == 2)
    await site.killed_and_back()
    assert (await site.ended(2))["outcome"] == "converged"
    assert site.applied() == [2, 2, 2, 2]


async def test_in_a_pause(site: Killable) -> None:
    """It still waits, behind the same wave; what an operator approved before is not asked for again."""
    await begin(site, MORE, pause="every wave", canary="1")
    await site.until("paused")
    await site.ask("rollout.resume")
    await eventually(lambda: site.minions["r2"].applied["web"] == 2)
    await site.until("paused")
    await site.killed_and_back()
    await site.until("paused")
    assert site.applied() == [1, 1, 2, 2]
    for _ in range(2):
        await site.ask("rollout.resume")
        async with asyncio.timeout(10):
            while (await site.rollout())["phase"] not in ("paused", ""):
                await asyncio.sleep(0.02)
    assert (await site.ended(2))["outcome"] == "converged"
    assert site.applied() == [2, 2, 2, 2]


async def test_after_a_pause_in_which_a_vip_moved(site: Killable) -> None:
    """It goes on in the order of the last resume, which is that of who held what then."""
    d1, d2 = site.minions["d1"], site.minions["d2"]
    d2.enter("BACKUP")
    d1.enter("MASTER")
    first = await site.event("failover")
    await begin(site, MORE, pause="every wave")
    await site.until("paused")
    d1.enter("BACKUP")
    d2.enter("MASTER")
    await site.event("failover", since=first["cursor"])
    await site.ask("rollout.resume")
    await eventually(lambda: d1.applied["web"] == 2)
    await site.until("paused")
    await site.killed_and_back()
    await site.until("paused")
    waves = [wave["hosts"] for wave in (await site.rollout())["waves"]]
    assert (waves, site.applied()) == ([["r1", "r2"], ["d1"], ["d2"]], [2, 1, 2, 2])
    await site.ask("rollout.resume")
    assert (await site.ended(2))["outcome"] == "converged"


async def test_in_a_pause_that_was_asked_for_on_the_way(site: Killable) -> None:
    """`rollout pause` outlives the master as `--pause` does."""
    site.minions["r1"].loses_releases = 1
    await begin(site, MORE)
    await eventually(lambda: not site.minions["r1"].loses_releases)
    await site.ask("rollout.pause")
    await site.until("paused")
    await site.killed_and_back()
    await site.until("paused")
    assert site.applied() == [1, 1, 2, 2]
    await site.ask("rollout.resume")
    assert (await site.ended(2))["outcome"] == "converged"


@pytest.mark.parametrize("hurts", [False, True])
async def test_at_a_gate(site: Killable, hurts: bool) -> None:
    """What was in order before the push began is remembered: it goes on, or back."""
    assert (await site.ask("push", text=CHECKED))["generation"] == 2
    first = site.minions["d1"]
    first.on_release = lambda: setattr(first, "health", Health(unproven=(TO_R2,)))
    await begin(site, CHECKED + "    scheduler: rr\n")
    async with asyncio.timeout(10):
        while not any("no verdict" in said for said in (await site.rollout())["waiting"]):
            await asyncio.sleep(0.02)
    first.on_release = lambda: None
    first.health = Health(failing={TO_R2: "refused"}) if hurts else Health()
    await site.killed_and_back()
    assert (await site.ended(3))["outcome"] == ("failed" if hurts else "converged")
    if hurts:
        assert (await site.ended(4))["outcome"] == "converged"
        assert (await site.history())[:2] == [(4, "rollback", "converged"), (3, "push", "rolled_back")]
    assert site.applied() == [4 if hurts else 3] * 4


async def test_while_what_leaves_is_drained(site: Killable) -> None:
    """The second half follows when the connections have ended."""
    site.minions["d1"].destinations = (Figures(TO_R2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, active=3),)
    await asyncio.sleep(0.5)  # a sample or two
    await begin(site, WEB.replace("  r2: 10.0.0.12\n", ""))
    await site.until("draining")
    await site.killed_and_back()
    await site.until("draining")
    site.minions["d1"].destinations = ()
    assert (await site.ended(3))["outcome"] == "converged"
    assert await site.history() == [(3, "push", "converged"), (1, "push", "converged")]


async def test_while_it_is_taken_back(site: Killable) -> None:
    """It goes on going back."""
    site.minions["d2"].fails, site.minions["d2"].fails_at = "no such interface", 2
    slow = site.minions["r1"]

    def deaf() -> None:
        slow.obeys = False

    site.minions["d2"].on_release = deaf
    await begin(site, MORE)
    async with asyncio.timeout(10):
        while (await site.rollout()).get("kind") != "rollback":
            await asyncio.sleep(0.02)
    await site.killed_and_back()
    slow.obeys = True
    slow.hello()
    assert (await site.ended(3))["outcome"] == "converged"
    assert site.applied() == [3, 3, 3, 3]
    assert await site.history() == [
        (3, "rollback", "converged"), (2, "push", "rolled_back"), (1, "push", "converged"),
    ]  # fmt: skip


async def test_when_it_was_decided_to_go_back_and_nothing_was_sent_yet(site: Killable) -> None:
    """The decision is on the disk before anything follows from it."""
    assert (await site.ask("push", text=MORE))["outcome"] == "converged"
    await site.stop()
    with sqlite3.connect(site.config.database) as connection:
        connection.execute("UPDATE rollout SET phase = 'rolling_back', reason = 'it hurts' WHERE generation = 2")
        connection.execute("UPDATE generation SET status = 'failed' WHERE generation = 2")
    connection.close()
    await site.killed_and_back()
    assert (await site.ended(3))["outcome"] == "converged"
    (back,) = await site.events("push.rolled_back")
    assert (back["data"]["generation"], back["data"]["content_of"], back["data"]["reason"]) == (2, 1, "it hurts")
    assert site.applied() == [3, 3, 3, 3]


async def test_kills_at_any_moment_use_no_number_twice(site: Killable) -> None:
    """Whatever was under way ends, and every host has the last generation."""
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3):
        text = MORE if pause * 100 % 2 else WEB
        push = asyncio.create_task(ask(site.config.control_socket, "push", text=text, options={"wait": True}))
        await asyncio.sleep(pause)
        await site.killed_and_back()
        await asyncio.gather(push, return_exceptions=True)
    result = await site.ask("push", text=WEB, options={"wait": True}, timeout=20)
    assert result["outcome"] == "converged"
    assert site.applied() == [result["generation"]] * 4
