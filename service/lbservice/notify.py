"""Telling systemd that the service is ready, alive and stopping; does nothing when systemd did not start us."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

_log = logging.getLogger(__name__)


class Notifier:
    """sd_notify(3), by the socket that systemd names in the environment.

    No call waits or raises: a service does not fail because nobody listens.
    """

    def __init__(self) -> None:
        name = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name

    def ready(self, status: str) -> None:
        self._notify(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._notify(f"STATUS={status}")

    def stopping(self) -> None:
        self._notify("STOPPING=1")

    async def watchdog(self) -> None:
        """Say "alive" from inside the event loop at half the interval that the unit asks for, until cancelled."""
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
        if not microseconds:
            return
        while True:
            self._notify("WATCHDOG=1")
            await asyncio.sleep(microseconds / 2_000_000)

    def _notify(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as teller:
                teller.setblocking(False)
                teller.sendto(text.encode(), self._address)
        except OSError as error:
            _log.debug("systemd was not told %r: %s", text, error)
