"""Runs inside Salt's own environment: asks Salt's master, by its Python API, for what is to be measured.

Reads one JSON request a line, writes one JSON answer a line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import salt.client  # type: ignore[import-not-found]
import salt.config  # type: ignore[import-not-found]
import salt.exceptions  # type: ignore[import-not-found]
import salt.utils.event  # type: ignore[import-not-found]


def connected(options: dict[str, Any], count: int, within: float) -> Any:
    """Wait until all minions answer, and return a client."""
    deadline = time.monotonic() + within
    answers: dict[str, Any] = {}
    while time.monotonic() < deadline:
        try:
            # Made anew each time: it reads the master's key once, and the master may not have made it yet.
            client = salt.client.LocalClient(mopts=options)
            answers = client.cmd("*", "test.ping", timeout=10)
        except (salt.exceptions.SaltClientError, salt.exceptions.AuthenticationError):
            answers = {}
        if len(answers) == count and all(answer is True for answer in answers.values()):
            return client
        time.sleep(1)
    raise TimeoutError(f"{len(answers)} of {count} minions answered within {within:.0f} s")


def apply(client: Any, size: int, value: str) -> dict[str, Any]:
    """Have every minion change its file."""
    begin = time.monotonic()
    answers = client.cmd("*", "state.apply", ["tiny"], kwarg={"pillar": {"value": value}}, timeout=180)
    seconds = time.monotonic() - begin
    changed = [
        name
        for name, states in answers.items()
        if isinstance(states, dict) and all(state["result"] is True and state["changes"] for state in states.values())
    ]
    if len(changed) != size:
        return {"error": f"{len(changed)} of {size} minions changed their file: {str(answers)[:500]}"}
    return {"seconds": seconds}


def fire(client: Any, options: dict[str, Any], count: int, pause: float) -> dict[str, Any]:
    """Have the minion fire events, and take them from the master's bus."""
    with salt.utils.event.get_event("master", opts=options, listen=True) as bus:
        bus.subscribe("bench/event")
        bus.connect_pub()
        client.cmd_async("*", "bench.fire", [count, pause])
        came: list[tuple[float, float, int]] = []
        while len(came) < count:
            event = bus.get_event(tag="bench/event", wait=30, full=False)
            if event is None:
                return {"error": f"{len(came)} of {count} events came"}
            came.append((time.time(), event["data"]["time"], event["data"]["number"]))
    return {
        "latencies": [now - then for now, then, _ in came],
        "rate": (count - 1) / (came[-1][0] - came[0][0]),
        "ordered": [number for *_, number in came] == list(range(count)),
    }


def main() -> None:
    """Answer requests until the input ends; the first one is "wait"."""
    options = salt.config.client_config(sys.argv[1])
    client, size = None, 0
    for line in sys.stdin:
        request = json.loads(line)
        todo = request.pop("do")
        answer: dict[str, Any] = {}
        try:
            if todo == "wait":
                size = request["count"]
                client = connected(options, **request)
            elif todo == "apply":
                answer = apply(client, size, **request)
            else:
                answer = fire(client, options, **request)
        except Exception as error:  # noqa: BLE001 - reported, and the run goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
