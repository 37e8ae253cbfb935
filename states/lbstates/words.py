r"""What names, secrets and addresses may look like: the same in the cluster file and in what is received by a minion.

They end up in keepalived.conf and in paths below /proc/sys. What could end a line, a word or a quotation there is
not allowed in any of them, so that a desired state can never carry more than declared state.
The patterns have no anchors: users of `re` put them between `\A` and `\Z`, JSON Schema between `^` and `$`.
"""

from __future__ import annotations

import ipaddress
from typing import Final

NAME: Final = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
INTERFACE: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}"
AUTH_PASS: Final = r"[A-Za-z0-9._:+-]{1,8}"  # noqa: S105 - a pattern
FIFO: Final = r"/[A-Za-z0-9_./-]{1,200}"

SCHEDULERS: Final = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")
"""The kernel's, as of Linux 6.x."""

MAX_AUTH_PASS: Final = 8
MAX_WEIGHT: Final = 65535
MAX_VRID: Final = 255
MAX_DIRECTORS: Final = 24
"""So many priorities, ten apart, fit between 1 and 254."""


def is_host_address(text: str) -> bool:
    """Whether the text is an IPv4 address, written as the kernel writes it, that one host can have."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or address.is_reserved)


def is_vip(text: str) -> bool:
    """Whether the text is a host's address, a slash and a prefix length."""
    address, slash, prefix = text.partition("/")
    return bool(slash) and is_host_address(address) and prefix in _PREFIXES


_PREFIXES: Final = frozenset(str(length) for length in range(1, 33))
