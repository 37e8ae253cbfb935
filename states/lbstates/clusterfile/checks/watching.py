"""What can be wrong with checks and pools, beyond one field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lbstates.clusterfile.findings import Path, suggestion
from lbstates.clusterfile.model import Cluster
from lbstates.clusterfile.reading import (
    IPV6,
    address_of,
    check_of,
    destinations,
    own_ports,
    pool_of,
    ports,
    single_ports,
    version_of,
)
from lbstates.clusterfile.services import ServiceEntry
from lbstates.clusterfile.watching import CheckEntry, PoolEntry, SorryEntry
from lbstates.kinds.service import family_of

from .remark import Declared, Remark

_ASKED_BY: Final = {"tcp": ("tcp",), "http": ("tcp",), "https": ("tcp",), "dns": ("tcp", "udp"), "udp": ("udp",)}
"""The protocols of a service that each kind of check speaks; the others ask another port of the same real server."""
_WEIGHTLESS: Final = ("rr", "lc", "lblc", "lblcr", "dh", "sh", "mh", "nq", "twos")
"""Schedulers that look at a weight only to see whether it is 0, or share by it what was there before (sh, mh)."""
_SMALL: Final = 10
"""A weight below it has fewer steps than a slow start takes."""
_SLOW: Final = 60.0
"""Seconds; design pitfall H5 is a detection that takes a minute."""
_NAMED: Final = 5
"""So many services one reminder names."""


def _checks(cluster: Cluster) -> Iterator[tuple[Path, CheckEntry]]:
    """Every check that the file has, with its place."""
    if cluster.check is not None and cluster.check.kinds:
        yield ("check",), cluster.check
    for place, service in enumerate(cluster.services):
        if service.check is not None and service.check.kinds:
            yield ("services", place, "check"), service.check


def _pools(cluster: Cluster) -> Iterator[tuple[Path, ServiceEntry, PoolEntry]]:
    """Every service with its pool, and the place where that is described."""
    for place, service in enumerate(cluster.services):
        path: Path = ("services", place, "pool") if service.pool is not None or cluster.pool is None else ("pool",)
        yield path, service, pool_of(cluster, service)


def _times(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for path, check in _checks(cluster):
        detection = check.interval * check.fall + check.longest
        if check.longest > check.interval:
            wrong = f"a probe of {check.longest:g} s would not end before the next one, after {check.interval:g} s"
            yield Remark((*path, "timeout"), wrong, "choose at most the interval, or a longer interval")
        elif detection > _SLOW:
            wrong = f"a real server that dies is taken out after {detection:g} s (interval x fall + timeout)"
            yield Remark(path, wrong, "choose a shorter interval; 2 s cost next to nothing", warning=True)
        elif check.fall == 1:
            wrong = "a single lost probe takes a real server out"
            yield Remark((*path, "fall"), wrong, "use `fall: 2` or more, with a shorter interval", warning=True)


def _kinds(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for path, check in _checks(cluster):
        if check.udp is not None and not check.udp.expect:
            wrong = "without `expect` it fails only where ICMP says that nothing listens: a dead host looks alive"
            yield Remark((*path, "udp"), wrong, "add `send` and `expect`, or use another kind of check", warning=True)
        if check.https is not None and check.https.verify and not (check.https.sni or check.https.host):
            wrong = "a certificate is valid for a name, and none is given"
            yield Remark((*path, "https", "verify"), wrong, "add `host: shop.example`, or `sni`")
        if "by_vip" in check.model_fields_set and check.by_vip and cluster.ipvs.backup_only:
            wrong = "with `ipvs.backup_only` a backup director balances nothing, so no probe goes by the VIP"
            yield Remark(
                (*path, "by_vip"), wrong, "leave it out: real servers are asked at their own address", warning=True
            )


def _answerable(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """A check has a port to ask, and speaks its protocol."""
    for place, service in enumerate(cluster.services):
        check = check_of(cluster, service)
        if check is None or check.exec is not None or check.port is not None:
            continue
        (kind,) = check.kinds
        path: Path = ("services", place, "check")
        instead = "name another kind, or a `port` that it can ask; or `check: none`"
        if service.check is None:
            instead = f"give the service a check of its own: {instead}"
        if service.vip is not None and service.protocol not in _ASKED_BY[kind]:
            wrong = f"a {kind} check cannot ask a port of a {service.protocol} service"
            yield Remark(path, wrong, instead)
        elif not ports(service) and not all(all(own_ports(it)) for it in destinations(cluster, service).values()):
            of = (
                "with all ports"
                if service.vip is not None and not service.firewall_mark
                else "by firewall mark without ports"
            )
            yield Remark(path, f"a {kind} check of a service {of} has no port to ask", instead)


def _nobody_watches(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """Where nothing is said; whoever writes `check: none` knows."""
    left = [
        place
        for place, service in enumerate(cluster.services)
        if service.check is None and cluster.check is None and destinations(cluster, service)
    ]
    if left:
        named = ", ".join(f"services[{place}]" for place in left[:_NAMED])
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        wrong = f"nobody watches the real servers of {named}{more}: a dead one keeps its share of the connections"
        yield Remark(
            ("services",),
            wrong,
            "add `check: tcp`, there or at the top of the file (`check: none`: as meant)",
            info=True,
        )


def _slow_start(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    for path, service, pool in _pools(cluster):
        if not pool.slow_start or check_of(cluster, service) is None:
            continue
        here = (*path, "slow_start")
        light = [name for name, entry in destinations(cluster, service).items() if 0 < entry.weight < _SMALL]
        if service.scheduler in _WEIGHTLESS:
            wrong = f"the scheduler {service.scheduler} gives no smaller share for a smaller weight"
            yield Remark(here, wrong, "use `scheduler: wlc` or wrr, or leave `slow_start` out", warning=True)
        elif light:
            have = "has a weight" if len(light) == 1 else "have weights"
            wrong = (
                f"{', '.join(light)} {have} below {_SMALL}, and weights are whole numbers: there is little to rise by"
            )
            yield Remark(here, wrong, "multiply all weights of the service, by 100 say", warning=True)


def _unwatched_pools(cluster: Cluster, _: Declared) -> Iterator[Remark]:
    """Nobody would ever bring a sorry server in, or somebody else slowly."""
    for place, service in enumerate(cluster.services):
        pool = service.pool
        if pool is None or check_of(cluster, service) is not None:
            continue
        for name in ("slow_start", "sorry_server"):
            if getattr(pool, name):
                path: Path = ("services", place, "pool", name)
                yield Remark(
                    path, "without a check it has no effect", "add `check: tcp`, say, to the service", warning=True
                )


def _sorry(cluster: Cluster, declared: Declared) -> Iterator[Remark]:
    for path, service, pool in _pools(cluster):
        if pool.sorry_server is not None:
            yield from _sorry_of(cluster, declared, service, pool.sorry_server, (*path, "sorry_server"))


def _sorry_of(
    cluster: Cluster, declared: Declared, service: ServiceEntry, sorry: SorryEntry, path: Path
) -> Iterator[Remark]:
    version = version_of(cluster, service)
    forwarding = sorry.forwarding or service.forwarding
    address = sorry.address
    if sorry.real_server is not None:
        if sorry.real_server not in declared.real_servers and "real_servers" not in declared.broken:
            right = f"{suggestion(sorry.real_server, declared.real_servers)}; or write an address"
            yield Remark(path, f"there is no real server {sorry.real_server}", right)
        server = cluster.real_servers.get(sorry.real_server)
        if server is None:
            return
        address = address_of(server, version) or server.address
    if address is None:
        return
    if forwarding != "tunnel" and (family_of(address) == "ipv6") != (version == IPV6):
        wrong = f"{address} is no IPv{version} address, and {forwarding} forwarding changes no family"
        yield Remark(path, wrong, f"write one of IPv{version}")
    if sorry.port is not None and forwarding != "masquerade" and (sorry.port,) != single_ports(service):
        wrong = f"with {forwarding} forwarding a sorry server answers on the port of the service"
        yield Remark((*path, "port"), wrong, "leave `port` out, or use `forwarding: masquerade`")
    pool = {
        (address_of(server, version) or server.address, _as_asked(service, own))
        for name, entry in destinations(cluster, service).items()
        if (server := cluster.real_servers.get(name)) is not None
        for own in own_ports(entry)
    }
    if (address, _as_asked(service, sorry.port or 0)) in pool:
        wrong = f"{address} is one of the real servers of the service: it would fail like all others"
        yield Remark(path, wrong, "name another host or port")


def _as_asked(service: ServiceEntry, port: int) -> int:
    """0 for the port that the client named, whichever way that is written."""
    return 0 if (port,) == single_ports(service) else port


CHECKS: Final = (_times, _kinds, _answerable, _nobody_watches, _slow_start, _unwatched_pools, _sorry)
