"""The lab's network: one namespace with a bridge, and a tap on it for every guest. Nothing outside it is touched."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from microvm.errors import LabError
from microvm.shell import run
from microvm.topology import Topology

KILL_SECONDS = 10.0


def namespace_of(name: str) -> str:
    """Return the network namespace of the lab of that name."""
    return f"lbmaster-{name}"


def tap_of(index: int) -> str:
    """Return the tap of the guest at that place (from 0) in the topology; taps live inside the namespace."""
    return f"t{index + 1}"


def mac_of(index: int) -> str:
    """Return the Ethernet address of the guest at that place (from 0) in the topology."""
    return f"02:00:00:00:{(index + 1) >> 8:02x}:{(index + 1) & 255:02x}"


def exists(namespace: str) -> bool:
    """Tell whether the namespace is there."""
    return Path("/run/netns", namespace).exists()


def create(namespace: str, topology: Topology) -> None:
    """Make the namespace, the bridge with the network's first address, and the taps. Raises ``LabError``."""
    what = f"make the lab's network namespace {namespace}"
    run(["ip", "netns", "add", namespace], what=what)
    # Snooping off: the bridge would drop VRRP's multicast of guests that it heard no membership report from.
    lines = [
        "link set lo up",
        "link add br0 type bridge mcast_snooping 0 forward_delay 0",
        f"addr add {topology.gateway}/{topology.prefix} dev br0",
        "link set br0 up",
    ]
    for index in range(len(topology.hosts)):
        lines.append(f"tuntap add dev {tap_of(index)} mode tap")
        lines.append(f"link set {tap_of(index)} master br0 up")
    for line in lines:
        run(["ip", "-n", namespace, *line.split()], what=what)


def pids(namespace: str) -> list[int]:
    """Return the processes that live in the namespace; none when it is gone."""
    if not exists(namespace):
        return []
    return [
        int(word) for word in run(["ip", "netns", "pids", namespace], what=f"list the processes in {namespace}").split()
    ]


def delete(namespace: str) -> None:
    """End every process in the namespace, then remove it; nothing happens when it is gone already.

    Whoever runs in the lab's own namespace belongs to the lab: its guests, their connections, a client started there.
    Raises ``LabError`` when a process survives.
    """
    if not exists(namespace):
        return
    deadline = time.monotonic() + KILL_SECONDS
    while found := pids(namespace):
        if time.monotonic() > deadline:
            raise LabError(f"processes {found} in the namespace {namespace} survive SIGKILL; look at them by `ps`")
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
    run(["ip", "netns", "del", namespace], what=f"remove the namespace {namespace}")
