r"""What names, secrets and addresses may look like: the same in the cluster file and in what is received by a minion.

They end up in keepalived.conf and in paths below /proc/sys. What could end a line, a word or a quotation there is
not allowed in any of them, so that a desired state can never carry more than declared state.
The patterns have no anchors: users of `re` put them between `\A` and `\Z`, JSON Schema between `^` and `$`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

NAME: Final = r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?"
INTERFACE: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}"
AUTH_PASS: Final = r"[A-Za-z0-9._:+-]{1,8}"  # noqa: S105 - a pattern
FIFO: Final = r"/[A-Za-z0-9_./-]{1,200}"

PORTS: Final = r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?"
"""One port, or a range of them."""
SYSCTL_NAME: Final = r"[a-z][a-z0-9_]{0,39}"
SYSCTL_VALUE: Final = r"-?[0-9]{1,10}( -?[0-9]{1,10}){0,3}"

SCHEDULERS: Final = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos")
"""The kernel's, as of Linux 6.x."""

SCHEDULER_FLAGS: Final = ("sh-fallback", "sh-port", "mh-fallback", "mh-port", "flag-1", "flag-2", "flag-3")
"""ipvsadm's words for them."""
_PLAIN_FLAGS: Final = ("flag-1", "flag-2", "flag-3")
_OWN_FLAGS: Final = {"sh": ("sh-fallback", "sh-port", "flag-3"), "mh": ("mh-fallback", "mh-port", "flag-3")}
ENGINES: Final = ("sip",)
"""What tells clients apart for persistence, beside their address."""

MAX_AUTH_PASS: Final = 8
MAX_WEIGHT: Final = 65535
MAX_VRID: Final = 255
MAX_MARK: Final = 2**31 - 1
MAX_ANNOUNCEMENTS: Final = 1000
"""At once. keepalived takes more, and does nothing else while it sends them."""
MAX_GARP_DELAY: Final = 4294
"""Seconds: keepalived counts microseconds in 32 bits."""
MAX_DIRECTORS: Final = 24
"""So many priorities, five apart, fit between 1 and 254 with room for the fall of a director without its minion."""


def is_host_address(text: str) -> bool:
    """Whether the text is an IP address, written as the kernel writes it, that one host can have."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if str(address) != text or getattr(address, "ipv4_mapped", None) or getattr(address, "scope_id", None):
        return False
    # Of IPv6 Python calls most of what is not given out yet reserved; kernel and keepalived take it.
    reserved = address.version == 4 and address.is_reserved  # noqa: PLR2004 - the version is its name
    return not (address.is_multicast or address.is_unspecified or address.is_loopback or reserved)


def is_vip(text: str) -> bool:
    """Whether the text is a host's address, a slash and a prefix length."""
    address, slash, prefix = text.partition("/")
    if not slash or not is_host_address(address):
        return False
    return prefix in (_PREFIXES_6 if ":" in address else _PREFIXES_4)


def is_network(text: str) -> bool:
    """Whether the text is "default" or a network with prefix length, host part zero."""
    if text == "default":
        return True
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return False
    return str(network) == text


def is_multicast_group(text: str) -> bool:
    """Whether the text is an IPv4 multicast address."""
    try:
        return ipaddress.IPv4Address(text).is_multicast
    except ValueError:
        return False


def flags_of(scheduler: str) -> tuple[str, ...]:
    """Return what the three flags of a scheduler are called."""
    return _OWN_FLAGS.get(scheduler, _PLAIN_FLAGS)


def flag_of(scheduler: str, flag: str) -> str:
    """Return a scheduler's own name of a flag: flag-1 of sh is sh-fallback. What it has not got stays as it is."""
    return flags_of(scheduler)[_PLAIN_FLAGS.index(flag)] if flag in _PLAIN_FLAGS else flag


def port_range(text: str) -> range:
    """Return the ports that "80" or "8000-8010" names; raises `ValueError` for anything else."""
    if not re.fullmatch(PORTS, text):
        raise ValueError(f"{text!r} is neither a port nor a range of ports")
    first, _, last = text.partition("-")
    found = range(int(first), int(last or first) + 1)
    if not found or found[-1] > MAX_PORT:
        raise ValueError(f"{text!r} is no range between 1 and {MAX_PORT}")
    return found


MAX_PORT: Final = 65535
_PREFIXES_4: Final = frozenset(str(length) for length in range(1, 33))
_PREFIXES_6: Final = frozenset(str(length) for length in range(1, 129))
