"""A minion that has more to say than it can: the product's own spool, delivery and link, at full speed.

    python flood.py MINION.TOML COUNT

Uses the key and the store of a host that has joined, and raises events as fast as they are taken off its hands: never
more than a window ahead of what is acknowledged, so that the disk's spool is part of what is measured. Prints the CPU seconds that
it took, less those of its start.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from bench.cluster import INSTANCE, NAME, VIPS
from lbminion.config import read_config
from lbminion.delivery import WINDOW, Delivery
from lbminion.link import Link
from lbminion.product import PRODUCT
from lbminion.spool import Spool
from lbminion.store import open_store
from lbminion.trust import Trust
from lbservice.keys import load_or_make_curve
from lbwire.events import VrrpTransition
from lbwire.inbox import Inbox, Memory
from lbwire.messages import Ack, Hello

_CHUNK = 250


class Flood:
    """Raises `count` events; `done` is set when all are acknowledged."""

    def __init__(self, file: Path, count: int) -> None:
        config = read_config(file)
        self._count, self._raised = count, 0
        self.welcomed, self.done = asyncio.Event(), asyncio.Event()
        self._more = asyncio.Event()
        store = open_store(config.state)
        self._inbox = Inbox(config.name, Trust(store, config).live)
        self._spool = Spool(store, self._committed)
        self._acked = 0
        keys = load_or_make_curve(config.curve_key)
        self.link = Link(config, keys, self._received, self._connected, lambda: None)
        self._delivery = Delivery(self._spool, self.link.send)

    def _committed(self) -> None:
        self._delivery.pump()

    def _connected(self) -> None:
        self._delivery.connected()
        boot, sequence = self._spool.oldest()
        self.link.send(Hello(product=PRODUCT, keepalived="", boot=boot, sequence=sequence, holdings={}))

    def _received(self, raw: bytes) -> None:
        message = self._inbox.judge(raw, Memory()).message
        if not isinstance(message, Ack):
            return
        self._delivery.acknowledged((message.boot, message.sequence))
        if message.boot == self._spool.boot:
            self._acked = message.sequence
        self._more.set()
        self.welcomed.set()
        if self._acked >= self._count:
            self.done.set()

    async def raise_all(self) -> None:
        """Raise them all, as the window allows."""
        states = ("BACKUP", "FAULT")
        while self._raised < self._count:
            if self._raised - self._acked > WINDOW:
                self._more.clear()
                await self._more.wait()
                continue
            for _ in range(min(_CHUNK, self._count - self._raised)):
                state, previous = states[self._raised % 2], states[1 - self._raised % 2]
                self._spool.add(VrrpTransition(INSTANCE, state, previous, 100, (VIPS[INSTANCE],)), NAME)
                self._raised += 1
            await asyncio.sleep(0)


async def main(file: Path, count: int) -> None:
    """Connect, raise all, and return when all are in the journal."""
    flood = Flood(file, count)
    async with asyncio.TaskGroup() as tasks:
        link = tasks.create_task(flood.link.run())
        # Not before the master listens: what was spooled by then would have cost nothing in the time that is measured.
        await flood.welcomed.wait()
        begin = time.process_time()
        await flood.raise_all()
        await flood.done.wait()
        print(json.dumps({"cpu": time.process_time() - begin}), flush=True)
        link.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
