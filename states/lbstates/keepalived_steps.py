"""Which texts keepalived has to load, one after the other, to get from one of our files to another. Pure.

One reload does nearly everything. But a VIP that moves from one instance to another would be lost: the new owner finds
the address already there, and the old one takes it away (keepalived(8): this needs two reloads).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from .keepalived_blocks import INDENT
from .keepalived_conf import vips
from .keepalived_instance import LIFE


def reload_steps(old: str, new: str) -> tuple[str, ...]:
    """Return what to load, the last being `new`: before it `new` without the VIPs that change their instance, if any do.

    A text of somebody else's is replaced in one step: nothing is known of its VIPs.
    """
    before = {vip.address: instance for instance, found in vips(old).items() for vip in found}
    after = {vip.address: instance for instance, found in vips(new).items() for vip in found}
    moving = {vip for vip in before.keys() & after.keys() if before[vip] != after[vip]}
    if not moving:
        return (new,)
    return (_without(new, moving), new)


def _without(text: str, moving: AbstractSet[str]) -> str:
    """Take VIPs out, and with them the instances that have no other, and the sync groups that then have less than two."""
    emptied = {name for name, found in vips(text).items() if found and {vip.address for vip in found} <= moving}
    kept = (_part_without(part.rstrip("\n"), moving, emptied) for part in text.split("\n\n"))
    return "\n\n".join(part for part in kept if part) + "\n"


def _part_without(part: str, moving: AbstractSet[str], emptied: AbstractSet[str]) -> str:
    """Return one block of the file without them; "" when nothing of it remains."""
    lines = part.split("\n")
    kind, _, name = lines[0].removesuffix(" {").partition(" ")
    if kind == "vrrp_instance":
        return (
            "" if name in emptied else "\n".join(line for line in lines if line.split(" dev ")[0].strip() not in moving)
        )
    if kind != "vrrp_sync_group":
        return part
    members = [line for line in lines if line.startswith(INDENT * 2) and line.strip() not in (*emptied, LIFE)]
    return "\n".join(line for line in lines if line.strip() not in emptied) if len(members) > 1 else ""
