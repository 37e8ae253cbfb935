"""Every pitfall: its id, what operators see, and where it is dealt with. docs/pitfalls.md says the same, which is tested.

`where`: file = `lbmaster check` rejects it or warns; made = it cannot happen, by what is written on the hosts; live = found
on the running cluster by the doctor, by drift or as an event; docs = explained where it is shown.
A row needs a test that names it; where nothing can provoke it here, `why_not` says why, and then there is none.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One pitfall."""

    id: str
    symptom: str
    where: tuple[str, ...]
    why_not: str = ""


ROWS = (
    Row("S1", "requests to the VIP hang: the VIP is missing on `lo` of the real servers", ("made", "live")),
    Row("S2", "`Truncating auth_pass to 8 characters`", ("file",)),
    Row("S3", "`default user 'keepalived_script' for script execution does not exist`, `SECURITY VIOLATION`", ("made",)),
    Row("S4", "`script systemctl resolved by path search`", ("made",)),
    Row("S5", "both directors `state MASTER`, told apart only by priority", ("made",)),
    Row("S6", "the same file edited by hand on each director", ("made", "live")),
    Row("S7", "IPVS entered by hand: gone at reboot, may differ between directors", ("made", "live")),
    Row("S8", "three balancers that should all work: who takes whose VIP?", ("made",)),
    Row("S9", "InActConn read as an error count", ("docs",)),
    Row("S10", "a cloned virtual machine: two hosts are the same minion", ("live",)),
    Row("R1", "requests hang or are reset while the real server answers: VIP missing on `lo`, or with a wrong mask", ("made", "live")),
    Row("R2", "works sometimes: a real server answers ARP for the VIP, past the director", ("made", "live")),
    Row("R3", "a short hijack while configuring: VIP added before the sysctls", ("made",)),
    Row("R4", "silent drop with tunnels or asymmetric routes: rp_filter is strict", ("made", "live")),
    Row("R5", "uploads stall with tunnels: full segments do not fit", ("made", "live")),
    Row("R6", "direct routing or a tunnel to another port of the real server", ("file",)),
    Row("R7", "a real server of direct routing that is not in the director's network", ("file", "live")),
    Row("R8", "a real server that calls the VIP reaches itself", ("live",)),
    Row("R9", "packets in a loop: a director is a real server of its peer", ("file", "live")),
    Row("R10", "an IPv6 VIP is tentative or dadfailed", ("made", "live")),
    Row("R11", "reset on the VIP only: the service listens on the real server's own address", ("live",)),
    Row("V1", "two MASTERs", ("live",)),
    Row("V2", "roles flap under load: keepalived is starved", ("live",)),
    Row("V3", "foreign advertisements: somebody else uses our VRID", ("file", "made", "live")),
    Row("V4", "a second MASTER after VIPs were edited: the lists differ", ("made", "live")),
    Row("V5", "advertisements dropped: interval or version differ", ("made", "live")),
    Row("V6", "a random MASTER: equal priorities", ("made", "live")),
    Row("V7", "nopreempt and preempt_delay ignored: they need state BACKUP", ("made",)),
    Row("V8", "the VRRP password believed to be security", ("file", "made")),
    Row("V9", "two MASTERs with unicast: peer lists not symmetrical, or empty", ("made",)),
    Row("V10", "the virtual MAC filtered by a hypervisor: use_vmac in virtual machines", ("made",)),
    Row("V11", "unicast, auth or preempt_delay refused: vrrp_strict copied from the sample", ("made",)),
    Row("V12", "clients keep the old MAC after a failover", ("made", "live")),
    Row("V13", "actions fire twice, or a bounce is taken for a failover", ("made",)),
    Row("V14", "a dead daemon is shown as MASTER for ever", ("made", "live")),
    Row("V15", "a restart drops the VIPs", ("made",)),
    Row("V16", "a VIP that moves from one instance to another is lost", ("made",)),
    Row("V17", "a bad file ends keepalived", ("made",)),
    Row("V18", "a failed track script keeps an instance in FAULT", ("made",)),
    Row("I1", "traffic gone, and a reload does not help: somebody ran `ipvsadm -C`", ("made", "live")),
    Row("I2", "entries flap: two writers", ("made", "live")),
    Row("I3", "connections hang when a destination is removed", ("made",)),
    Row("I4", "clients stay on a destination of weight 0: persistence", ("made", "live")),
    Row("I5", "UDP sticks to a dead real server", ("live",)),
    Row("I6", "one second more when a client uses a port again", ("live",)),
    Row("I7", "answers of masquerading never arrive: no forwarding, or another gateway", ("made", "live")),
    Row("I8", "settings below net.ipv4.vs are lost: set before the module was loaded", ("made", "live")),
    Row("I9", "long chains in the connection table", ("live",)),
    Row("I10", "throughput collapses: LRO on the director", ("live",)),
    Row("I11", "connections cut at a failover: no sync daemon, another id, multicast blocked", ("made", "live")),
    Row("I12", "short connections are not synchronised", ("live",)),
    Row("I13", "a new real server gets everything under wlc", ("made",)),
    Row("I14", "the same destination twice in one service", ("file",)),
    Row("H1", "checks are green, the VIP is broken", ("live",)),
    Row("H2", "one broken check takes all real servers out", ("made",)),
    Row("H3", "a dead real server in the pool at the start", ("made",)),
    Row("H4", "flapping: one lost probe", ("made",)),
    Row("H5", "detection takes a minute", ("file", "made")),
    Row("H6", "half the pool is down for months: the check itself is wrong", ("live",)),
    Row("H7", "both directors broken by one push", ("made",)),
)  # fmt: skip
