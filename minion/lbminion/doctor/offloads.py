"""What network cards merge before IPVS sees it (I10), and what fits through a tunnel (R5). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbstates.kinds.clamp import Clamp
from lbstates.kinds.destination import Destination, Tunnel

from .symptom import Symptom, error, info, warning

_ETHERNET_MTU = 1500
_HEADERS = {"ipv4": 40, "ipv6": 60}
_OVERHEAD = {"ipip": 0, "gre": 4, "gue": 12}


def judge_offloads(features: Mapping[str, Mapping[str, bool]]) -> Iterable[Symptom]:
    """Judge a director's interfaces: interface -> feature of ethtool -> whether it is on."""
    for interface, on in sorted(features.items()):
        if on.get("rx-lro"):
            yield warning(
                "I10", interface, "large receive offload (LRO) is on",
                "the card merges packets into larger ones than may be forwarded: they are dropped, throughput collapses",
                f"ethtool -K {interface} lro off",
            )  # fmt: skip
        elif on.get("rx-gro-hw"):
            yield info(
                "I10", interface, "the card itself merges received packets (rx-gro-hw)",
                "virtio and recent cards do it so that packets can be forwarded again; with others throughput collapses",
                f"if throughput is low: ethtool -K {interface} rx-gro-hw off",
            )  # fmt: skip


def overhead(tunnel: Tunnel, outer: str) -> int:
    """Tell how many bytes a tunnel puts before a packet that goes to the address `outer`."""
    return (40 if ":" in outer else 20) + _OVERHEAD[tunnel.type]


def judge_paths(
    destinations: Iterable[Destination], mtus: Mapping[str, int], values: Mapping[str, str]
) -> Iterable[Symptom]:
    """Judge a director's tunnels; `mtus`: address of a real server -> MTU of the interface towards it."""
    tunnels = {it.address: it.tunnel for it in destinations if it.tunnel is not None}
    for address, tunnel in sorted(tunnels.items()):
        mtu = mtus.get(address, _ETHERNET_MTU)
        if mtu < _ETHERNET_MTU:
            yield warning(
                "R5", address, f"the way to it takes packets of {mtu} bytes, {mtu - overhead(tunnel, address)} inside the tunnel",
                "what clients send in full size does not fit: uploads stall",
                f"raise the MTU of this director's interface to {_ETHERNET_MTU + overhead(tunnel, address)}",
            )  # fmt: skip
    if tunnels and values.get("net/ipv4/vs/pmtu_disc") == "0":
        yield warning(
            "R5", "net/ipv4/vs/pmtu_disc", "0, with tunnels",
            "too large packets are broken into fragments instead of telling the client: slow, and often filtered",
            "sysctl -w net.ipv4.vs.pmtu_disc=1",
        )  # fmt: skip


def judge_clamps(clamps: Iterable[Clamp], mtu: int) -> Iterable[Symptom]:
    """Judge the limits for segments on a real server, whose interface takes packets of `mtu` bytes."""
    for clamp in clamps:
        family = "ipv6" if ":" in clamp.address else "ipv4"
        room = mtu - _HEADERS["ipv4"] - 20 if family == "ipv4" else mtu - _HEADERS["ipv6"] - 20
        if clamp.mss > room:
            yield error(
                "R5", clamp.address, f"segments of {clamp.mss} bytes are announced, {room} fit through the tunnel",
                "uploads stall: full segments do not arrive", f"set the MTU of the interface to {clamp.mss + mtu - room}, or push again",
            )  # fmt: skip
