"""Kernel settings as they take effect, and those of IPVS that only matter together (R2, R4, R9, I4 to I8, I12). Pure.

A setting that simply differs from the released state is found by `differences`; here is what holds on other interfaces,
or follows from several settings and the kernel's version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service

from .symptom import Symptom, error, info, warning

IPVS_KEYS = (
    "net/ipv4/vs/conn_reuse_mode",
    "net/ipv4/vs/conntrack",
    "net/ipv4/vs/expire_quiescent_template",
    "net/ipv4/vs/sync_threshold",
    "net/ipv4/vs/backup_only",
    "net/ipv4/vs/pmtu_disc",
    "net/ipv4/ip_forward",
    "net/ipv6/conf/all/forwarding",
)
_REUSE_FIXED: tuple[int, int] = (5, 9)
_LONG_UDP_SECONDS = 60

Values = Mapping[str, str]
"""Sysctl path -> its value; a setting that is not there is not in it."""


def interface_keys(interfaces: Iterable[str]) -> list[str]:
    """Name what has to be read of these interfaces and of `all`."""
    return [
        f"net/ipv4/conf/{name}/{key}"
        for name in ("all", *interfaces)
        for key in ("arp_ignore", "arp_announce", "rp_filter")
    ]


def effective(values: Values, interface: str, key: str) -> int:
    """Tell what holds on an interface: the larger of its own value and that of `all`."""
    return max(_number(values.get(f"net/ipv4/conf/{name}/{key}", "")) for name in ("all", interface))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def judge_arp(values: Values, interfaces: Iterable[str]) -> Iterable[Symptom]:
    """Judge a real server that has a VIP of direct routing or tunnelling: every interface must keep silent about it."""
    for interface in interfaces:
        ignore, announce = (effective(values, interface, key) for key in ("arp_ignore", "arp_announce"))
        if ignore not in (1, 2, 3, 8):
            yield error(
                "R2", f"net/ipv4/conf/{interface}/arp_ignore", f"{ignore} takes effect on {interface}",
                "this host answers ARP for the VIPs on its lo: clients reach it past the director",
                "sysctl -w net.ipv4.conf.all.arp_ignore=1, and find out who set it (sysctl.d, ifupdown)",
            )  # fmt: skip
        if announce != 2:  # noqa: PLR2004 - the one value that never uses a VIP as the sender
            yield error(
                "R2", f"net/ipv4/conf/{interface}/arp_announce", f"{announce} takes effect on {interface}",
                "this host may name a VIP as the sender of its own ARP requests: neighbours then send the VIP's traffic here",
                "sysctl -w net.ipv4.conf.all.arp_announce=2, and find out who set it (sysctl.d, ifupdown)",
            )  # fmt: skip


def judge_tunnel_filters(values: Values, devices: Iterable[str], addressed: Collection[str]) -> Iterable[Symptom]:
    """Judge the tunnel devices of a real server: what arrives there has a source that is routed elsewhere.

    `addressed`: the devices with an IPv4 address; on one without any the kernel takes loose for strict.
    """
    for device in devices:
        found = effective(values, device, "rp_filter")
        if found == 1 or (found and device not in addressed):
            what = "1 (strict)" if found == 1 else f"{found} (loose, and strict for a device without an address)"
            yield error(
                "R4", f"net/ipv4/conf/{device}/rp_filter", f"{what} takes effect on {device}",
                "packets that come out of the tunnel are dropped without a trace",
                f"sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{device}.rp_filter=0 (the larger of both counts)",
            )  # fmt: skip


def judge_forwarding(values: Values, destinations: Iterable[Destination]) -> Iterable[Symptom]:
    """Judge a director with masquerading: answers come back through it, and it has to route them."""
    masqueraded = [it for it in destinations if it.forwarding == "masquerade"]
    for family, key in (("v4", "net/ipv4/ip_forward"), ("v6", "net/ipv6/conf/all/forwarding")):
        some = [it for it in masqueraded if (":" in it.address) == (family == "v6")]
        if some and values.get(key) == "0":
            yield error(
                "I7", key, f"0, with {len(some)} destinations by masquerading",
                "the answers of the real servers are dropped here: clients hang", f"sysctl -w {key.replace('/', '.')}=1",
            )  # fmt: skip


def judge_ipvs(values: Values, services: Collection[Service], kernel: str) -> Iterable[Symptom]:
    """Judge the settings of IPVS that only matter together; `kernel` is its release ("6.1.0-13-amd64")."""
    if values.get("net/ipv4/vs/conntrack") == "1" and values.get("net/ipv4/vs/conn_reuse_mode") not in ("0", None):
        version = re.match(r"(\d+)\.(\d+)", kernel)
        if version and (int(version[1]), int(version[2])) < _REUSE_FIXED:
            yield warning(
                "I6", "net/ipv4/vs/conn_reuse_mode",
                f"{values['net/ipv4/vs/conn_reuse_mode']} with conntrack=1 on kernel {kernel}",
                "a client that uses a port again waits one second for its connection",
                "`ipvs: {sysctls: {conn_reuse_mode: 0}}` in the cluster file, or a kernel from 5.9 on",
            )  # fmt: skip
    persistent = [service.identity for service in services if service.persistence is not None]
    if persistent and values.get("net/ipv4/vs/expire_quiescent_template") == "0":
        yield warning(
            "I4", "net/ipv4/vs/expire_quiescent_template", f"0, with persistence of {', '.join(persistent[:3])}",
            "clients stay on a real server of weight 0 until their persistence runs out",
            "`ipvs: {sysctls: {expire_quiescent_template: 1}}` in the cluster file",
        )  # fmt: skip


def judge_udp(services: Iterable[Service], udp_timeout: int) -> Iterable[Symptom]:
    """Judge UDP: without connections, a client stays with a real server for `udp_timeout` seconds of silence (0: unknown)."""
    for service in services:
        if service.protocol == "udp" and not service.one_packet and udp_timeout > _LONG_UDP_SECONDS:
            yield info(
                "I5", service.identity, f"the udp timeout is {udp_timeout} s, without one-packet scheduling",
                "a client that keeps sending from one port stays on a dead real server, for as long as it does not pause so long",
                "`one_packet: true` for the service if every datagram stands for itself, or `ipvs: {timeouts: {udp: 30}}`",
            )  # fmt: skip


def judge_both_roles(values: Values, addresses: Sequence[str]) -> Iterable[Symptom]:
    """Judge a director that is a real server too; `addresses` are its VIPs of that role."""
    if addresses and values.get("net/ipv4/vs/backup_only", "0") == "0":
        yield error(
            "R9", "net/ipv4/vs/backup_only", f"0, and this director is a real server for {' '.join(addresses)}",
            "as BACKUP it balances once more what the MASTER sent to it: packets go in circles",
            "`ipvs: {backup_only: true}` and `ipvs: {sync: {}}` in the cluster file",
        )  # fmt: skip


def judge_sync_threshold(values: Values, *, synchronised: bool) -> Iterable[Symptom]:
    """Say which connections are not carried over, where connections are synchronised at all."""
    threshold = values.get("net/ipv4/vs/sync_threshold", "").split()
    if synchronised and len(threshold) == 2 and _number(threshold[0]) > 0:  # noqa: PLR2004 - threshold and period
        yield info(
            "I12", "net/ipv4/vs/sync_threshold", " ".join(threshold),
            f"a connection is carried to the other directors from its packet {threshold[0]} on: shorter ones end at a failover",
            '`ipvs: {sysctls: {sync_threshold: "0 50"}}` carries all, at the price of a message for each',
        )  # fmt: skip
