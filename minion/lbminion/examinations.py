"""Answers the master's question what is wrong on this host, beside everything else that the service does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from lbwire.messages import Examined, FromMinion

from .doctor.examine import Examination
from .errors import HostError
from .keepalived.errors import KeepalivedError
from .planner import CANNOT

logger = logging.getLogger(__name__)

SECONDS: Final = 10.0


class Examinations:
    """`examine` looks at the host, `send` takes the answer. Who asks while it is looked gets the same answer."""

    def __init__(self, examine: Callable[[], Awaitable[Examination]], send: Callable[[FromMinion], object]) -> None:
        self._examine, self._send = examine, send
        self._asked: list[tuple[str, int]] = []
        self._task: asyncio.Task[None] | None = None

    def begin(self, cluster: str, command: int) -> None:
        """Look, and answer a cluster's command when it is known what is wrong, or that it cannot be known."""
        self._asked.append((cluster, command))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="examination")

    async def end(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._asked:
            found, error = Examination((), {}), ""
            try:
                async with asyncio.timeout(SECONDS):
                    found = await self._examine()
            except TimeoutError:
                error = f"looking at this host took more than {SECONDS:g} s; run `lbminion doctor` there"
            except (*CANNOT, HostError, KeepalivedError) as problem:
                error = str(problem)
            except Exception:
                # A bug of the doctor's must not end the service that keeps this host in order.
                logger.exception("examining this host failed")
                error = "examining this host failed, which is a bug: see the log of its lbminion"
            asked, self._asked = self._asked, []
            for cluster, command in asked:
                self._send(Examined(cluster, command, found.symptoms, found.facts, error))
