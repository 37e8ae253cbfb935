"""`check` and `pool` of a cluster file -> as they travel. Part of `compile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .balancing import Pool, ServiceDestination
from .checks import Check, DnsCheck, ExecCheck, HttpCheck, HttpsCheck, TcpCheck, UdpCheck
from .clusterfile.reading import address_of, check_of, pool_of, ports, statuses, version_of
from .kinds.destination import Forwarding, Tunnel
from .words import port_range

if TYPE_CHECKING:  # the model brings pydantic with it, which compiling does not need
    from .clusterfile.model import Cluster
    from .clusterfile.services import ServiceEntry
    from .clusterfile.watching import CheckEntry, HttpProbe


def compiled_check(cluster: Cluster, service: ServiceEntry, port: int) -> Check | None:
    """Say how the real servers of a service at `port` (0: all, or a firewall mark) are watched, if they are."""
    entry = check_of(cluster, service)
    if entry is None:
        return None
    named = entry.port or 0
    if not named and not port and ports(service):
        # Of several ports behind one mark the first is asked.
        named = port_range(ports(service)[0])[0]
    # A backup director with `backup_only` balances nothing, not even a probe.
    by_vip = entry.by_vip and not cluster.ipvs.backup_only
    return _of_kind(entry, (float(entry.interval), float(entry.longest), entry.rise, entry.fall, named, by_vip))


def _of_kind(entry: CheckEntry, common: tuple[float, float, int, int, int, bool]) -> Check:
    if (https := entry.https) is not None:
        return HttpsCheck(*common, *_http(https), https.sni, https.verify, https.expiry_days)
    if entry.http is not None:
        return HttpCheck(*common, *_http(entry.http))
    if entry.dns is not None:
        return DnsCheck(*common, entry.dns.name, entry.dns.type)
    if entry.udp is not None:
        return UdpCheck(*common, entry.udp.send, entry.udp.expect)
    if entry.exec is not None:
        return ExecCheck(*common, entry.exec.program)
    return TcpCheck(*common)


def _http(entry: HttpProbe) -> tuple[str, str, str, tuple[tuple[int, int], ...], str]:
    return entry.method, entry.path, entry.host, statuses(entry), entry.body


def compiled_pool(cluster: Cluster, service: ServiceEntry, port: int, *, drained: bool) -> Pool:
    """Say how the real servers of a service go out and in; `drained`: its sorry server takes no connections, either."""
    entry = pool_of(cluster, service)
    sorry = None
    if entry.sorry_server is not None:
        forwarding = entry.sorry_server.forwarding or service.forwarding
        name = entry.sorry_server.real_server or ""
        address = entry.sorry_server.address
        if name:
            server = cluster.real_servers[name]
            address = address_of(server, version_of(cluster, service)) or server.address
        at = entry.sorry_server.port or port
        tunnel = tunnel_of(service, forwarding)
        sorry = ServiceDestination(address or "", at, 1, forwarding, tunnel=tunnel, host=name, drained=drained)
    return Pool(entry.most_out, entry.slow_start, sorry)


def tunnel_of(service: ServiceEntry, forwarding: Forwarding) -> Tunnel | None:
    """Say how packets to a destination of a service are wrapped, if they are."""
    if forwarding != "tunnel":
        return None
    entry = service.tunnel
    return Tunnel() if entry is None else Tunnel(entry.type, entry.port or 0, entry.checksum)
