"""Faults of processes: killed by signal 9, and frozen by SIGSTOP."""

from __future__ import annotations

from typing import Final

from tests.faults.allowance import Losing
from tests.faults.fault import CALM, Course, Fault, told
from tests.faults.field import Act, Field
from tests.faults.variants import Variant

from story.hosts import Unexpected

SECOND: Final = Variant(second_vip=True)
REWRITTEN: Final = Variant(refresh=61)
KILL: Final = "kill -9 $pid; echo killed >/root/killed"
"""The shell's own kill: another program would take longer to start than the apply has left."""


def on_home(unit: str, signal: str) -> Act:
    """Send a signal to a unit on the active director."""
    return lambda field: field.signal(field.home, unit, signal)


def on_real_server(unit: str, signal: str) -> Act:
    """Send a signal to a unit on the first real server."""
    return lambda field: field.signal(field.cast.real_servers[0], unit, signal)


def on_master(unit: str, signal: str) -> Act:
    """Send a signal to a unit on the master's host."""
    return lambda field: field.signal(field.cast.master, unit, signal)


def start_nginx(field: Field) -> None:
    """Start what has no unit that restarts it."""
    field.hosts.out(field.cast.real_servers[0], "systemctl restart nginx")


def kill_director_in_apply(field: Field) -> None:
    """Push something, and kill the active director's minion as soon as it has written keepalived.conf."""
    conf, mark = "/etc/keepalived/keepalived.conf", "/root/mark"
    _kill_when(field, field.home, f"touch {mark}", f"until [ {conf} -nt {mark} ]; do :; done; {KILL}", REWRITTEN)


def kill_real_server_in_apply(field: Field) -> None:
    """Push something, and kill a real server's minion as soon as the new VIP is on lo."""
    _kill_when(field, field.cast.real_servers[0], ":", f"ip monitor address | {{ read -r line; {KILL}; }}", SECOND)


def _kill_when(field: Field, host: str, before: str, watch: str, variant: Variant) -> None:
    """Kill the minion on a host at the first sign that it applies a push. Raises `Unexpected` when there is none."""
    line = f"pid=$(systemctl show -P MainPID lbminion); {before}; echo ready >/root/ready; {watch}"
    field.hosts.out(host, "rm -f /root/ready /root/killed")
    field.hosts.out(host, f"(setsid timeout 60 sh -c '{line}' >/dev/null 2>&1 </dev/null &)")
    field.hosts.out(host, "until [ -e /root/ready ]; do sleep 0.1; done")
    answer = field.push(variant)
    if field.hosts.out(host, "ls /root/killed 2>/dev/null || true") == "":
        raise Unexpected(f"a push that changes something on {host}, but there was no sign of it: {answer}")


def push_usual(field: Field) -> None:
    """Take away what the fault pushed."""
    field.settle()
    answer = field.push(Variant())
    if answer.get("outcome") != "converged":
        raise Unexpected(f"the push after the fault did not converge: {answer}")


def table_kept(field: Field, course: Course) -> str:
    """See that no entry was made anew: its counters would have begun again, its connections ended."""
    counted, asked = field.hosts.connections()[field.home], len(field.load.all_of(0.0, course.begun))
    if counted < asked:
        raise Unexpected(f"the counters on {field.home} began again: {counted} connections, after {asked} requests")
    return "IPVS kept its entries"


FAULTS: Final = (
    Fault(
        "master killed",
        "systemd starts it again; hosts go on by themselves, and their events wait on their disks.",
        do=on_master("lbmaster", "KILL"),
        never=(*CALM, "minion.lost"),
        short=True,
    ),
    Fault(
        "master frozen for 8 s",
        "Commands hang until it goes on. No minion is called lost for what the master itself did not hear.",
        do=on_master("lbmaster", "STOP"),
        undo=on_master("lbmaster", "CONT"),
        never=(*CALM, "minion.lost"),
        lasts=8,
    ),
    Fault(
        "minion of the active director killed",
        "systemd starts it again; it adopts what it finds, and no VIP moves.",
        do=on_home("lbminion", "KILL"),
        after=(told("minion.started"),),
        never=(*CALM, "drift.found"),
        look=table_kept,
        short=True,
    ),
    Fault(
        "minion of a real server killed",
        "systemd starts it again; the VIP stays on lo.",
        do=on_real_server("lbminion", "KILL"),
        after=(told("minion.started"),),
        never=(*CALM, "drift.found"),
    ),
    Fault(
        "minion of the active director killed in the middle of an apply",
        "The push goes on when it is back within its lease, and is taken back when not.",
        do=kill_director_in_apply,
        random=False,
        undo=push_usual,
        after=(told("minion.started"),),
        never=("vrrp.split_brain", "failover", "keepalived.died"),
        short=True,
    ),
    Fault(
        "minion of a real server killed in the middle of an apply",
        "The push goes on when it is back within its lease, and is taken back when not.",
        do=kill_real_server_in_apply,
        random=False,
        undo=push_usual,
        after=(told("minion.started"),),
        # The standby is released first and may be MASTER of the new VIP for a moment.
        never=("vrrp.split_brain", "keepalived.died"),
    ),
    Fault(
        "minion of the active director frozen",
        "It is lost after its lease; its host goes on. systemd kills it after 30 s (WatchdogSec) and starts it again.",
        do=on_home("lbminion", "STOP"),
        meanwhile=(told("minion.lost"), told("minion.started")),
        never=("vrrp.split_brain", "keepalived.died", "drift.found"),
        within=90,
    ),
    Fault(
        "minion of a real server frozen for 8 s",
        "It is lost after its lease, and online again when it goes on.",
        do=on_real_server("lbminion", "STOP"),
        undo=on_real_server("lbminion", "CONT"),
        meanwhile=(told("minion.lost"),),
        after=(told("minion.online"),),
        never=CALM,
        lasts=8,
    ),
    Fault(
        "keepalived killed on the active director",
        "Its minion takes the VIP off and starts it again; the other director takes over if that takes too long.",
        do=on_home("keepalived", "KILL"),
        losing=Losing.FAILOVER,
        meanwhile=(told("keepalived.died"), told("keepalived.started", by="minion")),
        short=True,
    ),
    Fault(
        "keepalived frozen on the active director",
        "The other director takes over. The frozen one keeps the VIP in its kernel and is still thought MASTER: a split brain is told.",
        do=on_home("keepalived", "STOP"),
        undo=on_home("keepalived", "CONT"),
        losing=Losing.FAILOVER,
        both=60,
        lasts=8,
    ),
    Fault(
        "nginx killed on a real server",
        "Its share of the requests is refused until the checks take it out: `health.changed`.",
        do=on_real_server("nginx", "KILL"),
        undo=start_nginx,
        losing=Losing.SHARE,
        meanwhile=(told("health.changed"),),
        never=CALM,
        lasts=12,
        short=True,
    ),
    Fault(
        "nginx frozen on a real server",
        "Its share of the requests hangs until the checks take it out (http; a tcp check would not): `health.changed`.",
        do=on_real_server("nginx", "STOP"),
        undo=on_real_server("nginx", "CONT"),
        losing=Losing.SHARE,
        meanwhile=(told("health.changed"),),
        never=CALM,
        lasts=12,
    ),
)  # fmt: skip
