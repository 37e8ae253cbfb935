"""The clusters below `golden/`, each with what its hosts shall have, written down by hand or read again with care."""

from __future__ import annotations

from pathlib import Path

from lbstates.clusterfile import parse
from lbstates.compile import compile_cluster
from lbstates.desired import Host
from lbstates.facts import HostFacts
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.kind import Resource
from lbstates.plan import diff, index
from lbstates.resources import resources_for

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(file.parent for file in GOLDEN.glob("*/cluster.yaml"))
INTERFACES = ("eth1", "eth1.100", "eth2", "lo")
"""What every host of these clusters has; its address is on the first unless the cluster says otherwise."""


def facts_of(host: Host, run: str = "/run/lbminion") -> HostFacts:
    """Facts of a host that is master of nothing, with Debian 12's keepalived and its things below `run`."""
    here = dict.fromkeys(host.addresses, host.interface or INTERFACES[0])
    mtus = dict.fromkeys(INTERFACES, 1500)
    return HostFacts(
        here, "2.2.7", f"{run}/vrrp.fifo", lock=f"{run}/alive.lock", mtus=mtus, adjustments=f"{run}/adjustments"
    )


def addresses_of(folder: Path, host: str) -> tuple[str, ...]:
    """Return the addresses that a host of a cluster has."""
    states = compile_cluster(parse((folder / "cluster.yaml").read_text(), folder.name)).values()
    return next(state.hosts[host].addresses for state in states if host in state.hosts)


def resources_of(folder: Path, run: str = "/run/lbminion") -> dict[str, tuple[Resource, ...]]:
    """Return what each host of a cluster shall have, in both roles if it has both."""
    found: dict[str, dict[Resource, None]] = {}
    for state in compile_cluster(parse((folder / "cluster.yaml").read_text(), folder.name)).values():
        for host, entry in state.hosts.items():
            resources = resources_for(state, host, facts_of(entry, run))
            found.setdefault(host, {}).update(dict.fromkeys(resources))
    return {host: tuple(resources) for host, resources in found.items()}


def plans_of(folder: Path) -> dict[str, tuple[str, str]]:
    """Return the plan of each host that is empty, as a user reads it, and its keepalived.conf ("": none)."""
    return {
        host: (
            "".join(f"{change.describe()}\n" for change in diff(index(resources), {}, {})),
            "".join(resource.config for resource in resources if isinstance(resource, Keepalived)),
        )
        for host, resources in resources_of(folder).items()
    }
