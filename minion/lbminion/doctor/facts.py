"""What only means something beside the facts of other hosts: the master compares (`lbmaster.doctor`). Pure.

Keys are "WORD" or "WORD OF WHAT"; the words are listed in docs/doctor.md's last section, for both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.kinds.sync_daemon import SyncDaemon

from .configuration import Instance

_LONG = 4000
Facts = dict[str, str]


def of_interfaces(macs: Mapping[str, str], addresses: Iterable[tuple[str, str]]) -> Facts:
    """Tell the MACs of this host, and the bare address of each pair (interface, address) outside the loopback."""
    there = {mac for mac in macs.values() if mac and mac != "00:00:00:00:00:00"}
    own = {bare for interface, bare in addresses if interface != "lo"}
    return {"macs": _listed(there), "addresses": _listed(own)}


def of_instances(instances: Mapping[str, Instance], held: AbstractSet[str]) -> Facts:
    """Tell what the keepalived.conf of this host says, and which instances it holds."""
    found = {"holds": _listed(held)}
    for name, it in instances.items():
        found[f"vips {name}"] = _listed(it.vips)
        found[f"lists {name}"] = _listed(it.advertised)
        found[f"vrid {name}"] = str(it.vrid)
        found[f"advertises {name}"] = f"version {it.version} every {it.interval:g} s"
        found[f"priority {name}"] = str(it.priority)
    return found


def of_answers(answers: Mapping[str, AbstractSet[str]]) -> Facts:
    """Tell which MACs answered ARP for each VIP."""
    return {f"arp {vip}": _listed(macs) for vip, macs in answers.items() if macs}


def of_ipvs(services: Iterable[Service], destinations: Iterable[Destination], daemons: Iterable[SyncDaemon]) -> Facts:
    """Tell the table as a digest (a director that is a real server differs only in its forwarding), and the daemons."""
    some = list(destinations)
    lines = [f"{it.identity} {it.describe()}" for it in services]
    lines += [f"{it.identity} {it.weight}" for it in some]
    found = {
        "ipvs": hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16],
        "masquerades": _listed({it.address for it in some if it.forwarding == "masquerade"}),
    }
    for daemon in daemons:
        found[f"sync {daemon.role}"] = f"id {daemon.sync_id} {daemon.group}:{daemon.port}"
    return found


def _listed(words: Iterable[str]) -> str:
    text = " ".join(sorted(words))
    return text if len(text) <= _LONG else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
