"""Looks at what concerns a director alone: its table, its settings, its cards, who else writes there."""

from __future__ import annotations

from collections.abc import Iterator

from lbminion.keepalived.paths import KeepalivedPaths
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.kinds.sync_daemon import SyncDaemon
from lbstates.kinds.timeouts import Timeouts

from . import facts, offloads, places, reading, settings, table
from .case import Case
from .ethtool import features
from .facts import Facts
from .symptom import Symptom, error, info

_UDP_DEFAULT = 300


def look(case: Case, paths: KeepalivedPaths, kernel: str) -> Iterator[Symptom]:
    """Judge this director; `kernel` is its release."""
    values = reading.settings(settings.IPVS_KEYS)
    destinations = case.wanted(Destination)
    yield from settings.judge_forwarding(values, destinations)
    yield from settings.judge_ipvs(values, case.services(), kernel)
    yield from settings.judge_udp(case.services(), _udp_timeout(case))
    yield from settings.judge_both_roles(values, case.served_here)
    yield from settings.judge_sync_threshold(values, synchronised=bool(case.wanted(SyncDaemon)))
    yield from places.judge_reach([it for it in destinations if it.address not in case.own], case.present)
    yield from places.judge_dad(places.dad(reading.text("/proc/net/if_inet6")), case.held_vips)
    yield from offloads.judge_paths(destinations, _mtus(case, destinations), values)
    yield from offloads.judge_offloads(_features(case))
    yield from _judge_synchronisation(case)
    load = table.load(reading.text("/proc/net/ip_vs"))
    if load is not None:
        yield from table.judge_load(load)
    yield from table.judge_writers(reading.processes(), reading.checkers(paths))
    yield from table.judge_foreign(case.foreign)


def tell(case: Case) -> Facts:
    """Tell the master what it compares with the other directors."""
    told = facts.of_instances(case.loaded, case.holding)
    return told | facts.of_ipvs(case.there(Service), case.there(Destination), case.there(SyncDaemon))


def _judge_synchronisation(case: Case) -> Iterator[Symptom]:
    daemons = case.wanted(SyncDaemon)
    if not daemons and case.peers:
        yield info(
            "I11", "sync daemons", "none are declared", "established connections are cut at a failover",
            "`ipvs: {sync: {}}` in the cluster file",
        )  # fmt: skip
    for interface in sorted({it.interface for it in daemons}):
        if not reading.interfaces().get(interface, False):
            yield error(
                "I11", interface, "the interface of the sync daemons is not up",
                "the directors do not tell each other their connections: a failover cuts them",
                f"ip link set {interface} up, or another `ipvs: {{sync: {{interface: ...}}}}`",
            )  # fmt: skip


def _udp_timeout(case: Case) -> int:
    return next((it.udp for it in (*case.there(Timeouts), *case.wanted(Timeouts)) if it.udp), _UDP_DEFAULT)


def _mtus(case: Case, destinations: list[Destination]) -> dict[str, int]:
    found = {}
    for address in {it.address for it in destinations if it.tunnel is not None}:
        interface = places.interface_to(address, case.present) or case.interface
        if mtu := reading.mtu(interface):
            found[address] = mtu
    return found


def _features(case: Case) -> dict[str, dict[str, bool]]:
    found = {}
    for interface in {it.interface for it in case.present} - {"lo"}:
        try:
            found[interface] = features(interface)
        except OSError:
            continue  # a device without a driver of its own (a bridge, a tunnel) merges nothing
    return found
