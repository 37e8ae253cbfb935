"""The story of three directors: each serves its own VIP and stands in for the others, down to the last one.

Set up by the steps of the five VMs' story. While a director goes or comes the client asks every VIP all the time: outside
of the moments in which a VIP moves, no request may be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from story.hosts import Hosts
from story.outcome import Outcome
from story.steps import REQUESTS, Step, balance, expect, join, plan, push, push_again, start_master
from story.traffic import watched

Holders = dict[str, str | None]


def serve_apart(hosts: Hosts) -> Outcome:
    """Each director serves its own VIP: 50 requests to each are shared equally, and each director counts its own."""
    holders, before = hosts.holders(), hosts.connections()
    shares = [balance(hosts, vip) for vip in hosts.cast.vips.values()]
    goal = {host: count + REQUESTS for host, count in before.items()}
    hosts.until(lambda: hosts.connections() == goal, "each director counts the 50 connections of its VIP", within=15)
    return Outcome(f"{_told(holders)}; {shares[0].said} for each VIP", figures={"holders": holders})


def stop_first(hosts: Hosts) -> Outcome:
    """Keepalived is stopped on one director: its VIP is taken over, the others stay where they are."""
    return _stop(hosts, hosts.cast.directors[0])


def stop_second(hosts: Hosts) -> Outcome:
    """It is stopped on a second one: the last director holds all three VIPs."""
    return _stop(hosts, hosts.cast.directors[1])


def _stop(hosts: Hosts, leaving: str) -> Outcome:
    before = hosts.holders()
    staying = {name: holder for name, holder in before.items() if holder != leaving}

    def taken_over() -> Holders | None:
        holders = hosts.holders()
        return holders if None not in holders.values() and leaving not in holders.values() else None

    outcome = _move(hosts, lambda: hosts.out(leaving, "systemctl stop keepalived"), taken_over)
    after = outcome.figures["holders"]
    expect(all(after[name] == holder for name, holder in staying.items()), "the other VIPs to stay", after)
    return outcome


def come_home(hosts: Hosts) -> Outcome:
    """Both are started again: each director is home again."""
    homes = set(hosts.cast.directors)

    def start() -> None:
        for host in hosts.cast.directors[:2]:
            hosts.out(host, "systemctl start keepalived")

    return _move(hosts, start, lambda: holders if homes == set((holders := hosts.holders()).values()) else None)


def _move(hosts: Hosts, change: Callable[[], object], moved: Callable[[], Holders | None]) -> Outcome:
    """Do something that makes VIPs move while the client asks them all; then 50 requests to each, shared equally."""
    before, since = hosts.holders(), hosts.cursor()
    with watched(hosts) as traffic:
        change()
        holders, _ = hosts.until(moved, "the VIPs have moved")
        # The neighbour tables follow, and traffic goes on for a moment before it is stopped.
        hosts.request(REQUESTS)
    moves = [name for name, holder in holders.items() if before[name] != holder]
    expect(bool(moves), "a VIP to move", {"before": before, "after": holders})
    windows = {hosts.cast.vips[name]: _window(hosts, since, name) for name in moves}
    traffic.check(windows)
    shares = [balance(hosts, vip) for vip in hosts.cast.vips.values()]
    gaps = {name: round(traffic.gap(hosts.cast.vips[name]), 2) for name in moves}
    lost = {name: traffic.lost(vip) for name, vip in hosts.cast.vips.items()}
    sent = sum(report["sent"] for report in traffic.seen.values())
    said = ", ".join(
        f"{name} from {before[name]} to {holders[name]} (without an answer {gaps[name]} s, {lost[name]} lost)"
        for name in moves
    )
    return Outcome(
        f"{said}; no other request of {sent} lost; {shares[0].said} for each VIP",
        seconds=max(gaps.values()),
        figures={"holders": holders, "windows": windows, "lost": lost, "sent": sent, "traffic": traffic.seen},
    )


def _window(hosts: Hosts, since: int, instance: str) -> tuple[float, float]:
    """From the first to the last transition that moved the VIP, by the hosts' own clocks (which agree in the lab)."""
    transitions = [
        event
        for event in hosts.events(since)
        if event["type"] == "vrrp.transition" and event["data"]["instance"] == instance
    ]
    moving = [event["time"] for event in transitions if event["data"]["state"] in ("MASTER", "STOP")]
    return min(moving), max(moving)


def _told(holders: dict[str, Any]) -> str:
    return ", ".join(f"{name} on {holder}" for name, holder in holders.items())


STORY: Final[Sequence[Step]] = (
    start_master,
    join,
    plan,
    push,
    serve_apart,
    stop_first,
    stop_second,
    come_home,
    push_again,
)
