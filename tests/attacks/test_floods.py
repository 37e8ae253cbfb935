"""Floods: thousands of bad handshakes and malformed messages each second while a push goes through. It converges.

The rate of a test is what its flood aims at; what was reached is printed. No speed of the machine is asserted, but that there
was a flood: a tenth of the rate is missed only by one that does not happen.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import zmq

from tests.master.conftest import WEB, Site, eventually
from tests.master.fake_minion import new_keys

from .peers import connected

SECONDS = 3.0
FLOOR = 0.1
"""The part of the aimed rate below which a flood was none."""


@contextmanager
def flood(rate: int, attack: Callable[[], bool]) -> Iterator[list[int]]:
    """Call `attack` so often each second, in a thread of its own, while the block runs; counts those that reached the port."""
    ends, done = threading.Event(), [0]

    def run() -> None:
        began, tried = time.monotonic(), 0
        while not ends.is_set():
            due = int((time.monotonic() - began) * rate) - tried
            for _ in range(min(due, 500)):
                tried += 1
                done[0] += attack()
            time.sleep(0.002)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        ends.set()
        thread.join()


def sending(attacker: zmq.Socket[bytes], message: bytes) -> Callable[[], bool]:
    """Send a message at each call; one that cannot be sent within a second ends the flood, and the test."""
    attacker.setsockopt(zmq.SNDTIMEO, 1000)

    def attack() -> bool:
        attacker.send(message)
        return True

    return attack


async def _push_under(site: Site, rate: int, attack: Callable[[], bool], what: str) -> None:
    await site.cluster()
    began = time.monotonic()
    assert (await site.ask("push", text=WEB))["outcome"] == "converged"
    quiet = time.monotonic() - began
    with flood(rate, attack) as done:
        await asyncio.sleep(0.5)
        slowest, until, counted = 0.0, time.monotonic() + SECONDS, (time.monotonic(), done[0])
        while time.monotonic() < until:
            began = time.monotonic()
            assert (await site.ask("push", text=WEB))["outcome"] == "converged"
            slowest = max(slowest, time.monotonic() - began)
        reached = (done[0] - counted[1]) / (time.monotonic() - counted[0])
    sys.stdout.write(
        f"\n{reached:.0f} {what} each second, of {rate}: a push takes at most {slowest:.2f} s; without them {quiet:.2f} s\n"
    )
    assert reached > FLOOR * rate, f"no flood: {reached:.0f} {what} each second"


@pytest.mark.parametrize("endpoint", ["uplink", "broadcast", "join"])
async def test_a_push_converges_under_bad_handshakes(site: Site, endpoint: str) -> None:
    """1,000 each second are aimed at: connections that greet as ZeroMQ does, and go on with rubbish."""
    greeting = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x01CURVE" + b"\x00" * 15 + b"\x00" * 32
    port = site.ports[endpoint]

    def attack() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(greeting + b"\x04\xc8\x05HELLO" + b"\x07" * 194)
        except OSError:
            return False
        return True

    await _push_under(site, 1000, attack, f"bad handshakes ({endpoint})")


async def test_a_push_converges_under_malformed_messages(site: Site) -> None:
    """10,000 each second by a captured minion are aimed at; they are counted, and cost the journal a line now and then."""
    keys = (await site.minion("captured", connect=False)).keys
    with connected(zmq.DEALER, site.ports["uplink"], site.server_key, keys) as captured:
        await _push_under(site, 10_000, sending(captured, b"\xc1" * 50), "malformed messages")
    refused = [event["data"] for event in await site.events("message.refused")]
    assert sum(event["count"] for event in refused) > 1000
    assert len(refused) < 40


async def test_a_push_converges_under_subscriptions(site: Site) -> None:
    """A captured minion subscribes to what is not for it; 5,000 times each second are aimed at."""
    keys = (await site.minion("captured", connect=False)).keys
    with connected(zmq.XSUB, site.ports["broadcast"], site.server_key, keys) as captured:
        await _push_under(site, 5000, sending(captured, b"\x01" + b"x" * 100), "subscriptions")


async def test_a_push_converges_under_requests_to_join(site: Site) -> None:
    """By strangers with a key each time, 50 each second are aimed at; the list of those who wait has an end."""

    def ask() -> bool:
        with connected(zmq.DEALER, site.ports["join"], site.server_key, new_keys()) as stranger:
            stranger.send(b"\xff" * 1000)
            return bool(stranger.poll(1000))

    await _push_under(site, 50, ask, "requests to join")
    await eventually(lambda: True)
    assert len((await site.ask("keys.list"))["keys"]) == 4
