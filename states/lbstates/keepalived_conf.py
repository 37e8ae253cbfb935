"""A director's desired state -> the text of its keepalived.conf, and what can be read out of such a text.

VRRP only: IPVS has another writer. The text is the same for the same state, byte for byte: it is compared with what is
on the host. Every string in it has passed the patterns of `words`, so that none of them can end a line or a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from . import keepalived_versions, placement, words
from .desired import DirectorState
from .errors import CannotDerive
from .facts import HostFacts
from .keepalived_adjustments import sync_groups, track_files, tracking
from .keepalived_blocks import INDENT, block
from .keepalived_instance import LIFE, VIP_BLOCKS, render_instance
from .kinds.address import Address
from .kinds.keepalived import MARKER


def render(state: DirectorState, host: str, facts: HostFacts) -> str:
    """Write the file for the director `host`. Raises `CannotDerive` for what cannot be there."""
    keepalived_versions.known(host, facts.keepalived_version)
    _check_path(f"{host}: notify FIFO", facts.fifo)
    lines = [f"{MARKER} for the cluster {state.cluster}: do not edit, the next push replaces it."]
    lines += ["", *block("global_defs", _global_defs(state, host, facts))]
    if facts.lock:
        _check_path(f"{host}: the minion's lock", facts.lock)
        lines += ["", *block(f"vrrp_script {LIFE}", _life(state, facts))]
    if facts.adjustments:
        _check_path(f"{host}: the minion's directory of adjustments", facts.adjustments)
        lines += track_files(state, facts)
    for group, names in sync_groups(state).items():
        lines += ["", *block(f"vrrp_sync_group {group}", _group(names, facts))]
    for instance in sorted(state.instances, key=lambda instance: instance.name):
        lines += ["", *render_instance(state, instance, host, facts)]
    return "\n".join(lines) + "\n"


def _check_path(what: str, path: str) -> None:
    if not re.fullmatch(words.FIFO, path):
        raise CannotDerive(
            f"{what} {path!r}",
            "keepalived cannot be given this path",
            "set an absolute path of letters, digits and ._- in the minion's configuration",
        )


def _global_defs(state: DirectorState, host: str, facts: HostFacts) -> Iterator[str]:
    yield f"router_id {host}"
    # In this order: without a script user before it, keepalived drops the FIFO at the first reload.
    yield "enable_script_security"
    yield "script_user root"
    yield f"vrrp_notify_fifo {facts.fifo}"
    yield "vrrp_version 3"
    # Clients that missed the announcement of a transition would keep the old MAC address: say it again, now and then.
    garp = state.garp
    yield f"vrrp_garp_master_repeat {garp.repeat}"
    yield f"vrrp_garp_master_delay {garp.delay}"
    yield f"vrrp_garp_master_refresh {garp.refresh}"
    yield f"vrrp_garp_master_refresh_repeat {garp.refresh_repeat}"
    yield f"vrrp_garp_lower_prio_repeat {garp.lower_priority_repeat}"
    yield f"vrrp_garp_lower_prio_delay {garp.lower_priority_delay}"
    # After a split a director that yields has announced the VIP last: let the other one hear of it, and announce it again.
    yield "vrrp_higher_prio_send_advert true"


def _life(state: DirectorState, facts: HostFacts) -> Iterator[str]:
    """A director whose minion is dead falls behind all that have theirs, but stays above nobody at all.

    The minion holds the lock while it lives. When it is gone the lock is obtained, and `false` says so; five times,
    ten seconds, so that a restart of the minion moves no VIP. A weight, not FAULT: where no minion lives, one director
    goes on all the same. (With nopreempt nobody takes over while the director itself lives: that is what it means.)
    """
    yield f'script "/usr/bin/flock --nonblock --conflict-exit-code 0 {facts.lock} /bin/false"'
    yield "interval 2"
    yield "timeout 2"
    yield "fall 5"
    yield "rise 1"
    yield f"weight -{placement.penalty(len(state.hosts))}"


def _group(names: tuple[str, ...], facts: HostFacts) -> Iterator[str]:
    yield from block("group", names)
    if facts.lock or facts.adjustments:
        # All members change their priority together, so that the group's weight does what an instance's would.
        yield "sync_group_tracking_weight"
    yield from block("track_script", (LIFE,) if facts.lock else ())
    yield from tracking(names[0], facts)


_INSTANCE: Final = re.compile(r"^vrrp_instance (\S+) \{$")
_VIP: Final = re.compile(rf"^{INDENT * 2}(\S+/\d+) dev (\S+)(?: preferred_lft 0)?$")

_VIP_HEADS: Final = tuple(f"{INDENT}{name} {{" for name in VIP_BLOCKS)


def vips(text: str) -> dict[str, tuple[Address, ...]]:
    """Read which VIPs each instance of a rendered file puts on which interface; nothing for a file of somebody else."""
    found: dict[str, tuple[Address, ...]] = {}
    if not text.startswith(MARKER):
        return found
    instance, inside = "", False
    for line in text.splitlines():
        if head := _INSTANCE.match(line):
            instance = head[1]
            found[instance] = ()
        elif line.startswith(INDENT) and not line.startswith(INDENT * 2):
            inside = line in _VIP_HEADS
        elif instance and inside and (vip := _VIP.match(line)):
            found[instance] += (Address(vip[2], vip[1]),)
    return found
