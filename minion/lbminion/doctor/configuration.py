"""What a keepalived.conf says of its VRRP instances, ours or one that somebody edited. Pure.

Reads what is written one keyword per line, which is how we write it; of anything else it makes the best.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from lbstates.keepalived_instance import VIP_BLOCKS

_DIGITS: Final = re.compile("[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Instance:
    """One `vrrp_instance`; `vips` bare, after the first sorted; `interval` in seconds; numbers are 0 where the file says none.

    `advertised`: those of them that its advertisements list; the others are `virtual_ipaddress_excluded`.
    `devices`: the interface of a VIP (bare) that names one.
    """

    name: str
    interface: str = ""
    vrid: int = 0
    version: int = 2
    priority: int = 0
    interval: float = 1.0
    vips: tuple[str, ...] = ()
    devices: dict[str, str] = field(default_factory=dict)
    advertised: tuple[str, ...] = ()

    @property
    def family(self) -> int:
        """The version of IP by which it is elected: that of its first VIP."""
        return 6 if any(":" in vip for vip in self.vips[:1]) else 4


@dataclass(slots=True)
class _Block:
    words: Sequence[str]
    lines: list[Sequence[str]] = field(default_factory=list)
    blocks: list[_Block] = field(default_factory=list)

    def value(self, keyword: str, default: str = "") -> str:
        return next((line[1] for line in self.lines if line[0] == keyword and len(line) > 1), default)


def instances(text: str) -> dict[str, Instance]:
    """Read all instances of a file by name."""
    top = _parse(text.splitlines())
    defaults = next((block for block in top.blocks if block.words[:1] == ["global_defs"]), _Block(()))
    version = _number(defaults.value("vrrp_version", "2"))
    found = {}
    for block in top.blocks:
        if len(block.words) > 1 and block.words[0] == "vrrp_instance":
            found[block.words[1]] = _instance(block, version)
    return found


def _parse(lines: Iterable[str]) -> _Block:
    """Read the blocks without recursion: how deep they are is for whoever edited the file to say."""
    top = _Block(())
    within = [top]
    for line in lines:
        words = line.split("#")[0].split("!")[0].split()
        if not words:
            continue
        if words[-1] == "{":
            block = _Block(words[:-1])
            within[-1].blocks.append(block)
            within.append(block)
        elif words != ["}"]:
            within[-1].lines.append(words)
        elif len(within) > 1:
            within.pop()
    return top


def _instance(block: _Block, version: int) -> Instance:
    advertised, excluded = (
        [line for inner in block.blocks if inner.words[:1] == [name] for line in inner.lines] for name in VIP_BLOCKS
    )
    vips = advertised + excluded
    bare = [vip[0].partition("/")[0] for vip in vips]
    devices = {name: vip[2] for name, vip in zip(bare, vips, strict=True) if vip[1:2] == ["dev"] and len(vip) > 2}  # noqa: PLR2004
    return Instance(
        name=block.words[1],
        interface=block.value("interface"),
        vrid=_number(block.value("virtual_router_id")),
        version=_number(block.value("version", str(version))),
        priority=_number(block.value("priority")),
        interval=_seconds(block.value("advert_int", "1")),
        vips=(*bare[:1], *sorted(bare[1:])),
        devices=devices,
        advertised=tuple(sorted(bare[: len(advertised)])),
    )


def _number(text: str) -> int:
    return int(text) if _DIGITS.fullmatch(text) else 0


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
