"""The status of clusters as a page: who holds which VIP, and every host. What is wrong is said in capitals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .answers_status import Cluster, Decided, Host, Status, Vip
from .page import Cell, Column, Line, Page, Table
from .render_health import health_table
from .text import count, seconds

VIP_COLUMNS: Final = (Column("VIP"), Column("INSTANCE"), Column("HOLDER"))
HOST_COLUMNS: Final = (
    Column("HOST"),
    Column("ROLE"),
    Column("SEEN"),
    Column("GENERATION"),
    Column("VRRP"),
    Column("DRIFT"),
    Column("KEEPALIVED"),
    Column("NOTE"),
)
DECIDED_COLUMNS: Final = (
    Column("DECIDED"),
    Column("WHAT"),
    Column("LEFT"),
    Column("SINCE"),
    Column("BY"),
    Column("WHY"),
)
_TROUBLE: Final = ("stop", "died", "dead", "fail", "not running", "missing")


def status_page(status: Status) -> Page:
    """Show every cluster, then the minions that are in none."""
    parts: list[Line | Table] = []
    for name, cluster in sorted(status.clusters.items()):
        parts += [*_cluster(name, cluster, status.time), Line()]
    if status.unassigned:
        parts += [Line(f"In no cluster: {', '.join(sorted(status.unassigned))}"), Line()]
    if not parts:
        return (Line("No cluster yet: lbmaster push FILE makes one."),)
    return tuple(parts[:-1])


def _cluster(name: str, cluster: Cluster, now: float) -> Iterator[Line | Table]:
    away = cluster.in_maintenance
    unhealthy = sum(not healthy(host, cluster) for host_name, host in cluster.hosts.items() if host_name not in away)
    unhealthy += sum(holder(vip).tone == "bad" for vip in cluster.vips.values())
    verdict = f"{unhealthy} NOT AS IT SHALL BE" if unhealthy else "all as they shall be"
    yield Line(
        f"Cluster {name}: generation {cluster.released}, {count(len(cluster.hosts), 'host')}, {verdict}",
        "bad" if unhealthy else "bold",
    )
    if cluster.rollout is not None:
        phase = f" ({cluster.rollout.phase})" if cluster.rollout.phase else ""
        yield Line(f"A push is on its way: generation {cluster.rollout.generation}{phase}", "warn")
    if cluster.vips:
        yield Table(VIP_COLUMNS, tuple(_vip(address, vip) for address, vip in sorted(cluster.vips.items())))
        yield Line()
    yield Table(
        HOST_COLUMNS, tuple(_host(host_name, host, cluster) for host_name, host in sorted(cluster.hosts.items()))
    )
    yield from health_table(cluster.health)
    if cluster.interventions:
        yield Line()
        yield Table(DECIDED_COLUMNS, tuple(_decided(it, now) for it in cluster.interventions))


def healthy(host: Host, cluster: Cluster) -> bool:
    """Say whether a host is heard of, up to date, without drift and with keepalived in order."""
    return (
        host.online
        and host.applied == cluster.released
        and not host.drift
        and all(role.state in ("MASTER", "BACKUP") for role in host.roles.values())
        and not _is_trouble(host.keepalived or "")
    )


def _decided(it: Decided, now: float) -> tuple[Cell, ...]:
    return (
        Cell(it.kind, "bold"),
        Cell(it.what),
        left(it),
        Cell(f"{seconds(now - it.since)} ago"),
        Cell(it.by),
        Cell(it.reason),
    )


def left(it: Decided) -> Cell:
    """Say what is left to wait for of what was decided."""
    if it.kind == "switchover":
        return Cell("none", "good") if it.done else Cell(f"HELD BY {', '.join(it.holds) or 'nobody'}", "bad")
    parts = [f"holds {', '.join(it.holds)}"] if it.holds else []
    if it.kind in ("drain", "maintenance") and it.connections is None:
        parts.append("UNKNOWN")
    elif it.connections:
        parts.append(count(it.connections, "connection"))
    if it.done or not parts:
        return Cell("none", "good")
    return Cell(f"{'OVERDUE: ' if it.overdue else ''}{', '.join(parts)}", "bad" if it.overdue else "warn")


def _vip(address: str, vip: Vip) -> tuple[Cell, ...]:
    return Cell(address, "bold"), Cell(vip.instance), holder(vip)


def holder(vip: Vip) -> Cell:
    """Say who holds a VIP; nobody and two are both loud."""
    if len(vip.masters) > 1:
        return Cell(f"SPLIT BRAIN: {', '.join(vip.masters)}", "bad")
    if vip.holder is None:
        return Cell("UNKNOWN", "bad")
    return Cell(vip.holder, "good")


def _host(name: str, host: Host, cluster: Cluster) -> tuple[Cell, ...]:
    return (
        Cell(name, "bold"),
        Cell(host.role),
        _away(host) if name in cluster.in_maintenance else _seen(host),
        _generation(host, cluster),
        _vrrp(host),
        Cell(f"DRIFT {host.drift}", "bad") if host.drift else Cell("none" if host.online else "UNKNOWN"),
        _keepalived(host.keepalived or ""),
        Cell(host.note or ""),
    )


def _seen(host: Host) -> Cell:
    if host.last_seen is None:
        return Cell("LOST never seen", "bad")
    ago = seconds(host.last_seen)
    return Cell(f"{ago} ago") if host.online else Cell(f"LOST {ago} ago", "bad")


def _away(host: Host) -> Cell:
    """Say it of a host in maintenance: nobody has to do anything about it."""
    ago = "never seen" if host.last_seen is None else f"{seconds(host.last_seen)} ago"
    return Cell(ago if host.online else f"away, {ago}", "plain" if host.online else "warn")


def _generation(host: Host, cluster: Cluster) -> Cell:
    if host.applied == cluster.released:
        return Cell(str(host.applied), "good")
    staged = f", {host.staged} staged" if host.staged > host.applied else ""
    return Cell(f"{host.applied} OF {cluster.released}{staged}", "bad")


def _vrrp(host: Host) -> Cell:
    states = [f"{instance} {_word(role.state)}" for instance, role in sorted(host.roles.items())]
    calm = all(role.state in ("MASTER", "BACKUP") for role in host.roles.values())
    return Cell(", ".join(states), "plain" if calm else "bad")


def _word(state: str) -> str:
    return "UNKNOWN" if state == "unknown" else state


def _keepalived(text: str) -> Cell:
    return Cell(text.upper(), "bad") if _is_trouble(text) else Cell(text)


def _is_trouble(keepalived: str) -> bool:
    return any(word in keepalived.lower() for word in _TROUBLE)
