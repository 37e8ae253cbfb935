"""Does a real server call a VIP that it answers for itself (R8)? Pure.

The layouts are those of inet_diag: `sock_diag` asks. The kernel is given a little program that picks the sockets, since
a busy real server has a hundred thousand.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

from lbminion.errors import BadKernelMessage
from lbminion.netlink.message import attribute
from lbstates.kinds.service import endpoint

from .listeners import Wanted
from .symptom import Symptom, warning

_REQUEST: Final = Struct("=BBBBI48s")  # family, protocol, extensions, pad, states, socket
_ANSWER: Final = Struct("=BBBB2s2s16s16sI8s20s")
_STATES: Final = 0xFFE & ~(1 << 7 | 1 << 10)
"""All but closed and listening: also what was closed within the last minute (TIME_WAIT)."""
_BYTECODE: Final = 1
_STEP: Final = Struct("=BBH")  # what it asks, how far to go on if so, and if not
_HOST: Final = Struct("=BBxxi")  # family, prefix length, port (-1: any); the address follows
_TO_HOST, _JUMP = 8, 1
_SHOWN: Final = 3


class Call(NamedTuple):
    """A TCP connection of this host to a bare address and a port."""

    vip: str
    port: int


def request(vips: Sequence[str], family: int) -> bytes:
    """Ask for the TCP connections to any of these (at least one); a socket of IPv6 may have IPv4 addresses, too."""
    return _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _STATES, b"") + attribute(_BYTECODE, _program(vips))


def _program(vips: Sequence[str]) -> bytes:
    """Each VIP is a question; behind it, but for the last, a jump to the end, which means yes. Beyond the end means no."""
    questions = [_host(vip) for vip in vips]
    rest = len(questions) * _STEP.size + sum(map(len, questions)) + (len(questions) - 1) * _STEP.size
    program = b""
    for place, host in enumerate(questions, start=1):
        size = _STEP.size + len(host)
        program += _STEP.pack(_TO_HOST, size, size + _STEP.size) + host
        rest -= size
        if place < len(questions):
            program += _STEP.pack(_JUMP, _STEP.size, rest)
            rest -= _STEP.size
    return program


def _host(vip: str) -> bytes:
    address = ipaddress.ip_address(vip)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the version is its name
    return _HOST.pack(family, address.max_prefixlen, -1) + address.packed


def decode(payload: bytes) -> Call:
    """Read one answer of inet_diag. Raises `BadKernelMessage`."""
    if len(payload) < _ANSWER.size:
        raise BadKernelMessage(f"an answer of inet_diag with {len(payload)} bytes")
    family, _, _, _, _, port, _, there, *_ = _ANSWER.unpack_from(payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise BadKernelMessage(f"an answer of inet_diag of family {family}")
    address = ipaddress.ip_address(there[: 4 if family == socket.AF_INET else 16])
    return Call(str(getattr(address, "ipv4_mapped", None) or address), int.from_bytes(port, "big"))


def judge(calls: Iterable[Call], wanted: Iterable[Wanted]) -> Iterable[Symptom]:
    """Judge the connections of a real server to VIPs that it has on `lo`; `wanted` is what its services answer there.

    Whoever calls himself has both ends of a connection: the other one has the caller's port, which is no service's.
    """
    served = {(want.vip, want.port) for want in wanted if want.protocol == "tcp"}
    by_vip: dict[str, Counter[int]] = {}
    for call in calls:
        if not served & {call, (call.vip, 0)}:
            continue
        by_vip.setdefault(call.vip, Counter())[call.port] += 1
    for vip, ports in sorted(by_vip.items()):
        most = ", ".join(f"{number} to {endpoint(vip, port)}" for port, number in ports.most_common(_SHOWN))
        yield warning(
            "R8", vip, f"this host has called the VIP itself in the last minute: {most}",
            "the VIP is an address of its own, so it reaches itself: no other real server, whether it is well or not",
            "let clients on this host ask a real server by its own address, or run elsewhere",
        )  # fmt: skip
