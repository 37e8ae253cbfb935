"""Looks at what concerns a real server alone: its VIPs, its silence about them, its tunnels, its listeners."""

from __future__ import annotations

from collections.abc import Iterator

from lbminion.errors import HostError
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.link import Link

from . import listeners, offloads, own_clients, places, reading, settings, sock_diag
from .case import Case
from .facts import Facts
from .symptom import Symptom, info


def look(case: Case) -> Iterator[Symptom]:
    """Judge this real server."""
    vips = case.vips_on_lo()
    yield from places.judge_vips(vips, case.present, case.held_vips)
    yield from places.judge_dad(places.dad(reading.text("/proc/net/if_inet6")), _bare(case))
    up = [name for name, is_up in reading.interfaces().items() if is_up]
    devices = [link.interface for link in case.wanted(Link)]
    values = reading.settings(settings.interface_keys({*up, *devices}))
    if any(":" not in it.address for it in vips):
        yield from settings.judge_arp(values, [name for name in up if name not in devices])
    addressed = {it.interface for it in case.present if ":" not in it.address}
    with_ipv4 = {it.interface for it in vips if ":" not in it.address}.intersection(devices)
    yield from settings.judge_tunnel_filters(values, sorted(with_ipv4), addressed)
    mtus = [reading.mtu(it.interface) for it in case.present if it.address.partition("/")[0] in case.declared]
    yield from offloads.judge_clamps(case.wanted(Clamp), min((mtu for mtu in mtus if mtu), default=0) or 1500)
    known = [address for state in case.real_server for address in state.directors]
    served = [f"{it.protocol} {it.vip}" for it in case.answers() if it.forwarding == "masquerade" and ":" not in it.vip]
    yield from places.judge_gateway(places.gateways(reading.text("/proc/net/route")), known, served)
    yield from _judge_listeners(case)
    yield from _judge_own_clients(case)


def tell() -> Facts:
    """Tell the master what it compares with the directors."""
    return {"gateways": " ".join(places.gateways(reading.text("/proc/net/route")))}


def _bare(case: Case) -> list[str]:
    return [it.address.partition("/")[0] for it in case.vips_on_lo()]


def _judge_listeners(case: Case) -> Iterator[Symptom]:
    wanted = case.asked()
    if not wanted:
        return
    try:
        found = sock_diag.listeners(sorted({it.protocol for it in wanted}))
    except (OSError, HostError) as problem:
        yield info(
            "R11", "listeners", f"could not ask for them: {problem}",
            "whether the services listen on the VIP is not known", "modprobe -a tcp_diag udp_diag sctp_diag",
        )  # fmt: skip
        return
    yield from listeners.judge(wanted, found)


def _judge_own_clients(case: Case) -> Iterator[Symptom]:
    try:
        found = sock_diag.calls(_bare(case))
    except (OSError, HostError) as problem:
        yield info(
            "R8", "connections", f"could not ask for them: {problem}",
            "whether this host calls its own VIPs is not known", "modprobe -a tcp_diag",
        )  # fmt: skip
        return
    yield from own_clients.judge(found, case.asked())
