"""A Salt execution module (it runs inside a Salt minion): fires events that carry their time and number."""

from __future__ import annotations

import time
from typing import Any


def fire(count: int, pause: float) -> int:
    """Fire `count` events on the master's bus, `pause` seconds apart."""
    send: Any = globals()["__salt__"]["event.send"]
    for number in range(count):
        send("bench/event", {"number": number, "time": time.time()})
        if pause:
            time.sleep(pause)
    return count
