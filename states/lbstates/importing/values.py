"""Words of a configuration -> values, or `Wrong` in words for its author."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Final

from lbstates import words

_INTEGER: Final = re.compile(r"[0-9]{1,18}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_RANGE: Final = re.compile(r"(?P<first>[^-/\s]+)(?:-(?P<last>[^-/\s]+)|/(?P<prefix>[0-9]{1,3}))?")

_SHOWN: Final = 60
_IPV6: Final = 6

TRUE: Final = frozenset({"on", "true", "yes"})
FALSE: Final = frozenset({"off", "false", "no"})
MAX_TIMEOUT: Final = 2_678_400
"""Seconds: 31 days, what ipvsadm and the kernel take."""
MAX_RANGE: Final = 1_024
"""Addresses in one range: every one becomes a VIP."""


class Wrong(Exception):
    """A value that cannot be used: what is wrong with it, and what would be right."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong}; {right}")
        self.wrong = wrong
        self.right = right


def shown(text: str) -> str:
    """Quote what stands in a file, in bounded length and without control characters."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def integer(text: str, low: int, high: int) -> int:
    """Read a whole number between two bounds; raises `Wrong`."""
    if not _INTEGER.fullmatch(text):
        raise Wrong(f"{shown(text)} is no whole number", f"write one between {low} and {high}")
    if not low <= int(text) <= high:
        raise Wrong(f"{text} is out of range", f"write a number between {low} and {high}")
    return int(text)


def seconds(text: str, low: float, high: float) -> float:
    """Read a time; raises `Wrong`."""
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise Wrong(f"{shown(text)} is no number of seconds", "write one like 1 or 0.2")
    if not low <= float(text) <= high:
        raise Wrong(f"{text} s is out of range", f"write between {low:g} and {high:g}")
    return float(text)


def whole_seconds(text: str, low: int, high: int) -> int:
    """Read a time of whole seconds; raises `Wrong`."""
    value = seconds(text, low, high)
    if value % 1:
        raise Wrong(f"{text} s is no whole number of seconds", "write whole seconds")
    return int(value)


def address(text: str) -> str:
    """Read an IP address, and write it as the kernel does; raises `Wrong`."""
    try:
        return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise Wrong(f"{shown(text)} is no IP address", "write an address; names are not looked up") from None


def family_of(text: str) -> str:
    """Tell the family of an address that is one."""
    return "ipv6" if ":" in text else "ipv4"


def interface(text: str) -> str:
    """Read the name of an interface; raises `Wrong`."""
    if not re.fullmatch(words.INTERFACE, text):
        raise Wrong(f"{shown(text)} is no interface's name", "write one like eth0, 15 characters at most")
    return text


def network(text: str) -> str:
    """Read a network, `default` or an address; raises `Wrong`."""
    if text == "default":
        return "0.0.0.0/0"
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise Wrong(f"{shown(text)} is no network", "write one like 10.0.0.0/8") from None


def netmask(text: str, family: str) -> int:
    """Read a mask of clients as prefix length; raises `Wrong`."""
    if family == "ipv6" or "." not in text:
        return integer(text, 1, 128 if family == "ipv6" else 32)
    try:
        length = ipaddress.IPv4Network(f"0.0.0.0/{text}").prefixlen
    except ValueError:
        raise Wrong(f"{shown(text)} is no mask of a network", "write one like 255.255.255.0") from None
    if str(ipaddress.IPv4Network(f"0.0.0.0/{length}").netmask) != text:
        raise Wrong(f"{shown(text)} is no mask of a network", "write one like 255.255.255.0")
    return length


def addresses(text: str) -> list[str]:
    """Read an address or a range (10.0.0.1-5, 10.0.0.250-10.0.1.3, 10.0.0.8/29, fd00::2-9); raises `Wrong`."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise Wrong(f"{shown(text)} is no address and no range", "write 10.0.0.1-5, 10.0.0.1-10.0.0.5 or 10.0.0.0/29")
    first = ipaddress.ip_address(address(match["first"]))
    if match["prefix"] is not None:
        length = integer(match["prefix"], 1, first.max_prefixlen)
        last = ipaddress.ip_network(f"{first}/{length}", strict=False).broadcast_address
    elif match["last"] is not None:
        last = _last(first, match["last"])
    else:
        last = first
    return _between(int(first), int(last), text, type(first))


def _last(
    first: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if "." in text or ":" in text:
        last = ipaddress.ip_address(address(text))
        if last.version != first.version:
            raise Wrong(f"{shown(text)} is of another family", "begin and end a range in one family")
        return last
    digits, base, step = (r"[0-9a-fA-F]{1,4}", 16, 0xFFFF) if first.version == _IPV6 else (r"[0-9]{1,3}", 10, 0xFF)
    if not re.fullmatch(digits, text) or int(text, base) > step:
        raise Wrong(f"{shown(text)} ends no range", "write the last part of an address")
    return type(first)((int(first) & ~step) | int(text, base))


def _between(first: int, last: int, text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> list[str]:
    if not 0 <= last - first < MAX_RANGE:
        raise Wrong(f"{shown(text)} is no range of 1 to {MAX_RANGE} addresses", "write first and last address")
    return [str(kind(number)) for number in range(first, last + 1)]


def truth(arguments: tuple[str, ...]) -> bool:
    """Read on or off; nothing means on; raises `Wrong`."""
    if not arguments or arguments[0] in TRUE:
        return True
    if arguments[0] in FALSE:
        return False
    raise Wrong(f"{shown(arguments[0])} is neither on nor off", "write on or off")
