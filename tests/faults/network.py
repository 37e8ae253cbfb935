"""Faults of the network: cables, the wire between directors, the way to the master.

What is cut for one protocol only is cut by `tc` in the guests: the lab's own SSH takes the same wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.faults.allowance import MACHINE, Losing
from tests.faults.fault import CALM, Course, Fault, told
from tests.faults.field import Act, Field
from tests.faults.variants import Variant

from microvm import network
from microvm.shell import run
from story.cast import FIVE
from story.hosts import Unexpected
from story.steps import on_each

HOME, STANDBY = FIVE.directors
PORTS: Final = "7411-7413"
"""The control network, as far as it shares a wire with everything else."""
HALF: Final = (FIVE.real_servers[0], STANDBY)
SHOWN_SECONDS: Final = 2.0
"""After the second MASTER, until a split brain is told."""
_VRRP: Final = "112"
_MODULES: Final = "modprobe -a sch_ingress sch_prio sch_netem cls_u32 cls_flower act_gact"


def cable(state: str) -> Act:
    """Set the active director's port of the bridge up or down. The guest sees no carrier go: a switch does not tell."""

    def turn(field: Field) -> None:
        tap = network.tap_of(field.lab.guest(HOME).index)
        run(["ip", "-n", field.lab.namespace, "link", "set", tap, state], what=f"set {tap} {state}")

    return turn


def cut_vrrp(field: Field) -> None:
    """Let no director hear another one's advertisements."""
    drop = f"tc filter add dev eth0 ingress protocol ip u32 match ip protocol {_VRRP} 0xff action drop"
    on_each(lambda host: field.hosts.out(host, f"{_MODULES}; tc qdisc add dev eth0 clsact; {drop}"), FIVE.directors)


def cut_master(field: Field) -> None:
    """Let half of the hosts and the master not hear each other. Requests, from the master's guest, go on."""
    match = f"protocol ip flower ip_proto tcp dst_ip {FIVE.master_address} dst_port {PORTS} action drop"
    back = f"protocol ip flower ip_proto tcp src_ip {FIVE.master_address} src_port {PORTS} action drop"
    line = f"{_MODULES}; tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress {match}; tc filter add dev eth0 ingress {back}"
    on_each(lambda host: field.hosts.out(host, line), HALF)


def heal(hosts: Iterable[str]) -> Act:
    """Take away what was cut on these hosts."""
    return lambda field: on_each(lambda host: field.hosts.out(host, "tc qdisc del dev eth0 clsact"), hosts)


def heal_one_way_first(field: Field) -> None:
    """Let the standby hear again, and the active director when that one has yielded, as the worst case has it.

    The active one never hears that there was another, so that clients keep to the one that announced the VIP last.
    """
    try:
        heal((STANDBY,))(field)
        address = f"inet {FIVE.vip}/"
        field.hosts.until(
            lambda: address not in field.hosts.out(STANDBY, "ip -4 -o address show dev eth0"), f"{STANDBY} yields"
        )
    finally:
        heal((HOME,))(field)


def disturb(field: Field) -> None:
    """Lose 5 % of the packets between master and minions, and delay all of them by 200 ms, each way."""

    def line(host: str) -> str:
        port = f"src_port {PORTS}" if host == FIVE.master else f"dst_port {PORTS}"
        bands = "root handle 1: prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"
        return (
            f"{_MODULES}; tc qdisc add dev eth0 {bands}; "
            "tc qdisc add dev eth0 parent 1:4 handle 40: netem loss 5% delay 200ms; "
            f"tc filter add dev eth0 parent 1: protocol ip flower ip_proto tcp {port} classid 1:4"
        )

    on_each(lambda host: field.hosts.out(host, line(host)), (FIVE.master, *FIVE.members))


def undisturb(field: Field) -> None:
    """Take the disturbance away."""
    on_each(lambda host: field.hosts.out(host, "tc qdisc del dev eth0 root"), (FIVE.master, *FIVE.members))


def push_twice(field: Field) -> None:
    """Push a change and take it back, and see that both converge."""
    for variant in (Variant(scheduler="wrr"), Variant()):
        answer = field.push(variant)
        if answer.get("outcome") != "converged":
            raise Unexpected(f"a push in the middle of it did not converge: {answer}")


def both_shown(field: Field) -> None:
    """See that `lbmaster status` names both directors."""
    status = field.status()
    masters = [set(vip["masters"]) for vip in status["vips"].values()] if status else []
    if masters != [set(FIVE.directors)]:
        raise Unexpected(f"lbmaster status to show both directors as MASTER, but saw {masters}")


def shown_in_time(field: Field, course: Course) -> str:
    """See that the split brain was told within two seconds of the second MASTER."""
    events = field.subscriber.since(course.cursor)
    second = next(
        event["time"]
        for event in events
        if event["type"] == "vrrp.transition" and event["minion"] == STANDBY and event["data"]["state"] == "MASTER"
    )
    seconds = next(event["time"] for event in events if event["type"] == "vrrp.split_brain") - second
    if seconds > SHOWN_SECONDS + MACHINE:
        raise Unexpected(f"the split brain was told {seconds:.2f} s after the second MASTER")
    return f"split brain told {seconds:.1f} s after the second MASTER"


FAULTS: Final = (
    Fault(
        "active director unplugged",
        "The other director takes over. The unplugged one keeps the VIP where nobody reaches it, and is lost.",
        do=cable("down"),
        undo=cable("up"),
        losing=Losing.FAILOVER,
        meanwhile=(told("vrrp.transition", STANDBY, state="MASTER"), told("minion.lost", host=HOME)),
        after=(told("minion.online", host=HOME), told("vrrp.transition", STANDBY, state="BACKUP")),
        both=60,
        short=True,
    ),
    Fault(
        "directors do not hear each other's VRRP",
        "Both are MASTER. `vrrp.split_brain` and `lbmaster status` name both within 2 s of the second one.",
        do=cut_vrrp,
        undo=heal_one_way_first,
        during=both_shown,
        losing=Losing.SPLIT,
        meanwhile=(told("vrrp.transition", STANDBY, state="MASTER"), told("vrrp.split_brain")),
        after=(told("vrrp.split_brain_ended"),),
        both=60,
        look=shown_in_time,
        short=True,
    ),
    Fault(
        "master cut off from half of the hosts",
        "They are lost, and nothing else happens. Their events come when the way is free again.",
        do=cut_master,
        undo=heal(HALF),
        meanwhile=tuple(told("minion.lost", host=host) for host in HALF),
        after=tuple(told("minion.online", host=host) for host in HALF),
        never=CALM,
        short=True,
    ),
    Fault(
        "5 % loss and 200 ms delay each way on the control network",
        "Everything takes longer: a push converges, no minion is lost.",
        do=disturb,
        undo=undisturb,
        during=push_twice,
        never=CALM,
        lasts=10,
        short=True,
    ),
)
