"""A director's desired state -> the text of its keepalived.conf. VRRP only: IPVS has another writer.

The text is the same for the same state, byte for byte: it is compared with what is on the host. Every string in it has
passed the patterns of `words`, so that none of them can end a line or a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from .desired import DirectorState, VrrpInstance
from .kinds.address import Address
from .kinds.keepalived import MARKER

_INDENT: Final = "    "


def render(state: DirectorState, host: str, interface: str, fifo: str) -> str:
    """Write the file for the director `host`, which runs VRRP on `interface` and reports transitions to `fifo`."""
    lines = [f"{MARKER} for the cluster {state.cluster}: do not edit, the next push replaces it."]
    lines += ["", *_block("global_defs", _global_defs(state, host, fifo))]
    for instance in sorted(state.instances, key=lambda instance: instance.name):
        lines += ["", *_block(f"vrrp_instance {instance.name}", _instance(state, instance, host, interface))]
    return "\n".join(lines) + "\n"


def _global_defs(state: DirectorState, host: str, fifo: str) -> Iterator[str]:
    yield f"router_id {host}"
    # In this order: without a script user before it, keepalived drops the FIFO at the first reload.
    yield "enable_script_security"
    yield "script_user root"
    yield f"vrrp_notify_fifo {fifo}"
    yield f"vrrp_version {state.vrrp.version}"
    # Clients that missed the announcement of a transition would keep the old MAC address: say it again, now and then.
    yield "vrrp_garp_master_refresh 60"
    yield "vrrp_garp_master_refresh_repeat 1"
    yield "vrrp_garp_lower_prio_repeat 2"
    yield "vrrp_garp_lower_prio_delay 1"


def _instance(state: DirectorState, instance: VrrpInstance, host: str, interface: str) -> Iterator[str]:
    # BACKUP on every director: with `state MASTER` two of them start as masters, and nopreempt would be ignored.
    yield "state BACKUP"
    yield f"interface {interface}"
    yield f"virtual_router_id {instance.virtual_router_id}"
    yield f"priority {instance.priorities[host]}"
    yield f"advert_int {state.vrrp.advert_interval:g}"
    yield from _peers(state, host)
    if state.vrrp.auth_pass is not None:
        yield from _block("authentication", ("auth_type PASS", f"auth_pass {state.vrrp.auth_pass}"))
    yield from _block("virtual_ipaddress", (f"{vip} dev {interface}" for vip in sorted(instance.vips)))


def _peers(state: DirectorState, host: str) -> Iterator[str]:
    peers = sorted(name for name in state.hosts if name != host)
    if state.vrrp.mode == "multicast" or not peers:
        yield f"mcast_src_ip {state.hosts[host]}"
    else:
        yield f"unicast_src_ip {state.hosts[host]}"
        yield from _block("unicast_peer", (state.hosts[name] for name in peers))


def _block(head: str, body: Iterable[str]) -> Iterator[str]:
    yield f"{head} {{"
    yield from (_INDENT + line for line in body)
    yield "}"


_INSTANCE: Final = re.compile(r"^vrrp_instance (\S+) \{$")
_VIP: Final = re.compile(rf"^{_INDENT * 2}(\S+/\d+) dev (\S+)$")


def vips(text: str) -> dict[str, tuple[Address, ...]]:
    """Read which VIPs each instance of a rendered file puts on which interface; nothing for a file of somebody else."""
    found: dict[str, tuple[Address, ...]] = {}
    if not text.startswith(MARKER):
        return found
    instance = ""
    for line in text.splitlines():
        if head := _INSTANCE.match(line):
            instance = head[1]
            found[instance] = ()
        elif instance and (vip := _VIP.match(line)):
            found[instance] += (Address(vip[2], vip[1]),)
    return found
