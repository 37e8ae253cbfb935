"""Telling systemd that the service is ready, alive and stopping; does nothing when systemd did not start us."""

from __future__ import annotations

import asyncio
import os

import sdnotify


class Notifier:
    """sd_notify(3), by the socket that systemd names in the environment."""

    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()

    def ready(self, status: str) -> None:
        self._notifier.notify(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        self._notifier.notify(f"STATUS={status}")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1")

    async def watchdog(self) -> None:
        """Say "alive" from inside the event loop at half the interval that the unit asks for, until cancelled."""
        microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
        if not microseconds:
            return
        while True:
            self._notifier.notify("WATCHDOG=1")
            await asyncio.sleep(microseconds / 2_000_000)
