"""What the instances are when keepalived cannot be asked: whoever has all VIPs of an instance is its MASTER. Pure.

keepalived puts VIPs on interfaces as MASTER and takes them off otherwise, so that is right but for an address that
somebody configured by hand; and only as long as nothing better is known.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from lbstates.keepalived_conf import vips
from lbstates.kinds.address import Address

from .fifo import FifoLine

_PRIORITY: Final = re.compile(r"^vrrp_instance (\S+) \{$.*?^ +priority (\d+)$", re.MULTILINE | re.DOTALL)


def presumed_masters(text: str, present: Collection[Address], known: Collection[str]) -> tuple[FifoLine, ...]:
    """Return what keepalived would say of the instances of its file that are MASTER, but for those that are `known`.

    Their priority is the file's. Nothing for a file of somebody else.
    """
    priorities = dict(_PRIORITY.findall(text))
    return tuple(
        FifoLine("INSTANCE", name, "MASTER", int(priorities.get(name, 0)))
        for name, addresses in vips(text).items()
        if name not in known and addresses and all(address in present for address in addresses)
    )
