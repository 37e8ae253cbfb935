"""A real master on loopback with ephemeral ports, and fake minions that have joined it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lbmaster import config as configuration
from lbmaster.config import Config
from lbmaster.service import running
from lbservice.keys import from_fingerprint

from .fake_minion import FakeMinion

WEB = """\
cluster: web
directors:
  d1: 10.0.0.1
  d2: 10.0.0.2
real_servers:
  r1: 10.0.0.11
  r2: 10.0.0.12
vips:
  www: 10.0.0.100/24
services:
  - vip: www
    port: 80
"""
HOSTS = ("d1", "d2", "r1", "r2")


class Refusal(Exception):
    """The master answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["text"])
        self.kind = error["kind"]
        self.error = error


async def ask(socket: Path, verb: str, **arguments: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One request; returns the result and the notes before it."""
    reader, writer = await asyncio.open_unix_connection(socket, limit=8 * 1024 * 1024)
    notes = []
    try:
        writer.write(msgspec.json.encode({"verb": verb, **arguments}) + b"\n")
        while line := await asyncio.wait_for(reader.readline(), 30):
            answer = msgspec.json.decode(line)
            if "note" in answer:
                notes.append(answer["note"])
            elif "error" in answer:
                raise Refusal(answer["error"])
            else:
                return answer["result"], notes
    finally:
        writer.close()
    raise EOFError("the master broke off")


async def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for a condition, within bounds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.01)
    return found


class Site:
    """A master that can be stopped and started again, and its minions."""

    def __init__(self, config: Config, fingerprint: str) -> None:
        self.config, self.server_key = config, from_fingerprint(fingerprint)
        self.ports: dict[str, int] = {}
        self.minions: dict[str, FakeMinion] = {}
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self.ports = await self._stack.enter_async_context(running(self.config))

    async def stop(self) -> None:
        await self._stack.aclose()

    async def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return (await ask(self.config.control_socket, verb, **arguments))[0]

    async def minion(self, name: str, *, connect: bool = True) -> FakeMinion:
        """Make a minion that joins with a token."""
        minion = self.minions[name] = FakeMinion(name)
        token = (await self.ask("keys.token", ttl=60))["token"]
        assert (await minion.join(self.ports, self.server_key, token)).state == "accepted"
        if connect:
            minion.connect(self.ports, self.server_key)
            await eventually(lambda: minion.acks)  # its hello was heard
        return minion

    async def cluster(self) -> None:
        """Let the four hosts of `WEB` join, and push it."""
        for name in HOSTS:
            await self.minion(name)
        result = await self.ask("push", text=WEB)
        assert result["outcome"] == "converged", result

    async def events(self, *types: str, since: int = 0) -> list[dict[str, Any]]:
        _, notes = await ask(self.config.control_socket, "events", since=since, types=types or None)
        return notes

    async def event(self, event_type: str, since: int = 0, seconds: float = 10) -> dict[str, Any]:
        """Wait for the first event of a type."""
        while True:
            async with asyncio.timeout(seconds):
                _, notes = await ask(
                    self.config.control_socket, "events", since=since, types=[event_type], follow=True, limit=1
                )
            return notes[0]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """An initialised master with quick clocks, and ports of the kernel's choice."""
    return Config(
        listen="127.0.0.1", broadcast_port=0, uplink_port=0, join_port=0, state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run", lease=1.0, beacon=0.2, split_brain_grace=0.5, reconcile_deadline=1.0, return_grace=2.0,
    )  # fmt: skip


@pytest.fixture
async def site(config: Config, tmp_path: Path) -> AsyncIterator[Site]:
    fingerprint = configuration.init(
        tmp_path / "master.toml", state_dir=config.state_dir, runtime_dir=config.runtime_dir
    )
    site = Site(config, fingerprint)
    await site.start()
    try:
        yield site
    finally:
        for minion in site.minions.values():
            if minion._tasks:
                await minion.close()
        await site.stop()
