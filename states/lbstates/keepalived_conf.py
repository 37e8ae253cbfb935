"""A director's desired state -> the text of its keepalived.conf. VRRP only: IPVS has another writer.

The text is the same for the same state, byte for byte: it is compared with what is on the host. Every string in it has
passed the patterns of `words`, so that none of them can end a line or a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from . import words
from .desired import DirectorState
from .errors import CannotDerive
from .facts import HostFacts, existing, interface_of
from .kinds.address import Address
from .kinds.keepalived import MARKER
from .vrrp import VrrpInstance

_INDENT: Final = "    "


def render(state: DirectorState, host: str, facts: HostFacts) -> str:
    """Write the file for the director `host`. Raises `CannotDerive` for what cannot be there."""
    _check(host, facts)
    lines = [f"{MARKER} for the cluster {state.cluster}: do not edit, the next push replaces it."]
    lines += ["", *_block("global_defs", _global_defs(state, host, facts))]
    for instance in sorted(state.instances, key=lambda instance: instance.name):
        lines += ["", *_block(f"vrrp_instance {instance.name}", _instance(state, instance, host, facts))]
    return "\n".join(lines) + "\n"


def _check(host: str, facts: HostFacts) -> None:
    if facts.keepalived_version is None:
        raise CannotDerive(host, "keepalived is not installed", "install it (Debian: apt-get install keepalived)")
    if not re.fullmatch(words.FIFO, facts.fifo):
        raise CannotDerive(
            f"{host}: notify FIFO {facts.fifo!r}",
            "keepalived cannot be given this path",
            "set an absolute path of letters, digits and ._- in the minion's configuration",
        )


def _global_defs(state: DirectorState, host: str, facts: HostFacts) -> Iterator[str]:
    yield f"router_id {host}"
    # In this order: without a script user before it, keepalived drops the FIFO at the first reload.
    yield "enable_script_security"
    yield "script_user root"
    yield f"vrrp_notify_fifo {facts.fifo}"
    yield f"vrrp_version {_version(state)}"
    # Clients that missed the announcement of a transition would keep the old MAC address: say it again, now and then.
    yield f"vrrp_garp_master_refresh {state.garp.refresh}"
    yield f"vrrp_garp_master_refresh_repeat {state.garp.refresh_repeat}"
    yield f"vrrp_garp_lower_prio_repeat {state.garp.lower_priority_repeat}"
    yield f"vrrp_garp_lower_prio_delay {state.garp.lower_priority_delay}"


def _version(state: DirectorState) -> int:
    """The version of all that do not say another one."""
    return min((instance.version for instance in state.instances), default=3)


def _instance(state: DirectorState, instance: VrrpInstance, host: str, facts: HostFacts) -> Iterator[str]:
    interface = _interface(state, instance, host, facts)
    # BACKUP on every director: with `state MASTER` two of them start as masters, and nopreempt would be ignored.
    yield "state BACKUP"
    yield f"interface {interface}"
    if instance.version != _version(state):
        yield f"version {instance.version}"
    yield f"virtual_router_id {instance.virtual_router_id}"
    yield f"priority {instance.priorities[host]}"
    yield f"advert_int {instance.advert_interval:g}"
    yield from _peers(state, instance, host)
    if instance.auth_pass is not None:
        yield from _block("authentication", ("auth_type PASS", f"auth_pass {instance.auth_pass}"))
    vips = sorted((vip.address, vip.interface or interface) for vip in instance.vips)
    yield from _block("virtual_ipaddress", (f"{vip} dev {device}" for vip, device in vips))


def _interface(state: DirectorState, instance: VrrpInstance, host: str, facts: HostFacts) -> str:
    own = state.hosts[host].interface
    if own is not None:
        return existing(host, own, f"`interface` of the director {host}", facts)
    if instance.interface is not None:
        return existing(host, instance.interface, f"`interface` under `vrrp` or the instance {instance.name}", facts)
    return interface_of(host, state.hosts[host], facts)


def _peers(state: DirectorState, instance: VrrpInstance, host: str) -> Iterator[str]:
    peers = sorted(name for name in state.hosts if name != host)
    own = state.hosts[host].address_of(instance.family)
    if state.mode == "multicast" or not peers:
        yield f"mcast_src_ip {own}"
    else:
        yield f"unicast_src_ip {own}"
        addresses = (state.hosts[name].address_of(instance.family) for name in peers)
        yield from _block("unicast_peer", (address for address in addresses if address is not None))


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
