"""A director whose minion is gone gives up its VIPs when another's lives: two real minions, with what was pushed to them."""

from __future__ import annotations

import signal
import time

from .place import Host, Place

HANDOVER_SECONDS = 60
"""Five looks two seconds apart, then three advertisements, on a machine that does a lot besides."""


def test_the_vip_goes_to_a_director_whose_minion_lives_and_comes_back(place: Place, other: Host) -> None:
    """Killed, the minion says nothing more: keepalived finds its lock free, and gives up; no VIP is ever on both."""
    first = place.hosts["d1"]
    second = place.host("d-standby")
    second.join()
    second.start()
    other.start()
    place.push(place.with_standby(second, other))
    first.until(first.holds, "the first is MASTER")
    first.until(lambda: not second.holds(), "the second is not")
    since = place.cursor()
    first.stop(signal.SIGKILL)
    try:
        begun = time.monotonic()
        second.until(second.holds, "it takes the VIP", HANDOVER_SECONDS)
        print(f"from the minion's death to the VIP's move: {time.monotonic() - begun:.1f} s")  # noqa: T201
        second.until(lambda: not first.holds(), "the first has it no more")
        (moved,) = second.until(lambda: place.events("failover", since=since), "the failover is journalled")
    finally:
        first.start()
    assert (moved["data"]["source"], moved["data"]["target"]) == ("d1", second.name)
    first.until(first.holds, "it takes the VIP again", HANDOVER_SECONDS)
    first.until(lambda: not second.holds(), "the second has it no more")
    place.push_with(other)
    second.until(lambda: not (second.runtime / "keepalived.pid").exists(), "its keepalived is stopped")
