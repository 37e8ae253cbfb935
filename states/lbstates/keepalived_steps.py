"""Which texts keepalived has to load, one after the other, to get from one of our files to another. Pure.

One reload does nearly everything. But a VIP that moves from one instance to another, and finds that one a master already,
may be lost: the new owner sees the address in its place, and then the old one takes it away (keepalived(8): this needs two
reloads). An instance that is new has an election before it, and takes its VIPs only after the reload is through.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

from .keepalived_adjustments import is_track_name
from .keepalived_blocks import INDENT
from .keepalived_conf import vips
from .keepalived_instance import LIFE, VIP_BLOCKS

_INSTANCE: Final = "vrrp_instance"
_GROUP: Final = "vrrp_sync_group"


def reload_steps(old: str, new: str) -> tuple[str, ...]:
    """Return what to load, the last being `new`; before it, if any VIP moves, a text in which nobody has such a VIP.

    A text of somebody else's is replaced in one step: nothing is known of its VIPs.
    """
    before = {vip.address: instance for instance, found in vips(old).items() for vip in found}
    after = {vip.address: instance for instance, found in vips(new).items() for vip in found}
    there = set(before.values())
    moving = {vip for vip, instance in after.items() if instance in there and before.get(vip, instance) != instance}
    return (_without(new, moving, old), new) if moving else (new,)


def _without(text: str, moving: AbstractSet[str], old: str) -> str:
    """Take VIPs out, and with them the instances that have no other, and the sync groups that then have less than two.

    keepalived answers no question about a file without instances. So where none remains, the first stays as it was in
    `old`: all others are new to the text after this one.
    """
    instances = vips(text)
    emptied = {name for name, found in instances.items() if {vip.address for vip in found} <= moving}
    parts = [_part_without(part, moving, emptied) for part in _parts(text)]
    if len(emptied) == len(instances):
        first = next(name for name in instances if name in vips(old))
        parts += [part for part in _parts(old) if _kind_and_name(part) == (_INSTANCE, first)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(text: str) -> list[str]:
    """Split a rendered file into its blocks."""
    return text.rstrip("\n").split("\n\n")


def _kind_and_name(part: str) -> tuple[str, str]:
    kind, _, name = part.partition("\n")[0].removesuffix(" {").partition(" ")
    return kind, name


def _part_without(part: str, moving: AbstractSet[str], emptied: AbstractSet[str]) -> str:
    """Return one block of the file without them; "" when nothing of it remains."""
    lines = part.split("\n")
    kind, name = _kind_and_name(part)
    if kind == _INSTANCE:
        rest = "\n".join(line for line in lines if _address(line) not in moving)
        return "" if name in emptied else _advertising(rest)
    if kind != _GROUP:
        return part
    inside = [line.strip() for line in lines if line.startswith(INDENT * 2)]
    members = [word for word in inside if word not in (*emptied, LIFE) and not is_track_name(word)]
    return "\n".join(line for line in lines if line.strip() not in emptied) if len(members) > 1 else ""


def _advertising(instance: str) -> str:
    """Advertise another VIP where the one that was is taken out; keepalived wants one, and no empty block."""
    advertised, excluded = (f"{INDENT}{name} {{\n" for name in VIP_BLOCKS)
    end = f"{INDENT}}}\n"
    head, found, rest = instance.partition(advertised + end + excluded)
    if found:
        first, _, others = rest.partition("\n")
        instance = f"{head}{advertised}{first}\n{end}{excluded}{others}"
    return instance.replace(excluded + end, "")


def _address(line: str) -> str:
    return line.partition(" dev ")[0].strip()
