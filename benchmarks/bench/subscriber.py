"""A subscriber in a process of its own: takes events by the product's Python client and says what came.

    python subscriber.py EVENTS.SOCK COUNT TYPE HOST...

Prints "ready" once it subscribes, then, after COUNT events, one line of JSON: when the first was raised and the last came (Unix
time), the CPU seconds that they took here, and whether each host's events came in order, each once. Only events of the flood's making are counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import aclosing

from lbmaster import client


async def main(socket: str, count: int, event_type: str, hosts: list[str]) -> None:
    """Take COUNT events of the type."""
    last: dict[str, tuple[int, int]] = {}
    came, first, ordered = 0, 0.0, True
    cursor = client.call("events", {"follow": False, "limit": 0}, socket=socket)["cursor"]  # type: ignore[arg-type]
    begin = time.process_time()
    print("ready", flush=True)
    async with aclosing(client.events(cursor, types=[event_type], hosts=hosts, socket=socket)) as events:
        async for event in events:
            first = first or event.time
            before = last.get(event.minion)
            if before is not None:
                ordered = ordered and (event.boot, event.sequence) == (before[0], before[1] + 1)
            last[event.minion] = (event.boot, event.sequence)
            came += 1
            if came == count:
                break
    print(
        json.dumps(
            {
                "first": first,
                "last": time.time(),
                "ordered": ordered,
                "hosts": len(last),
                "cpu": time.process_time() - begin,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
