"""Does a service of this real server listen where its clients ask: on the VIP (R11)? Pure.

The layouts are those of inet_diag: `sock_diag` asks.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable
from struct import Struct
from typing import Final, NamedTuple

from lbminion.errors import BadKernelMessage
from lbminion.netlink.message import attributes
from lbstates.desired import Answer, Host, RealServerState
from lbstates.kinds.service import Protocol, endpoint, family_of, service_identity
from lbstates.words import port_range

from .symptom import Symptom, error

_REQUEST: Final = Struct("=BBBBI48s")  # family, protocol, extensions, pad, states, socket
_ANSWER: Final = Struct("=BBBB2s2s16s16sI8s20s")
_ONLY_V6: Final = 11
_LONG_RANGE: Final = 16
_LISTENING = 1 << 10
_UNCONNECTED = 1 << 7  # what UDP calls a socket without a peer (TCP_CLOSE)
_PROTOCOLS: Final[dict[Protocol, tuple[int, int]]] = {
    "tcp": (socket.IPPROTO_TCP, _LISTENING),
    "udp": (socket.IPPROTO_UDP, _UNCONNECTED),
    "sctp": (socket.IPPROTO_SCTP, _LISTENING),
}


class Listener(NamedTuple):
    """A socket that takes connections or datagrams; `only_v6`: one on "::" that does not take IPv4 too."""

    protocol: Protocol
    address: str
    port: int
    only_v6: bool = False


class Wanted(NamedTuple):
    """What clients ask of this real server; port 0 means every port."""

    protocol: Protocol
    vip: str
    port: int


def asked(states: Iterable[RealServerState], host: str) -> list[Wanted]:
    """Say where a service of a real server has to listen: on the VIP, or with masquerading on its own address."""
    found: dict[Wanted, None] = {}
    for state in states:
        for answer in state.answers:
            if host in answer.hosts:
                found |= dict.fromkeys(_asked(answer, state.hosts[host], answer.hosts[host]))
    return list(found)


def _asked(answer: Answer, host: Host, own: int) -> Iterable[Wanted]:
    family = family_of(answer.vip)
    masked = answer.forwarding == "masquerade"
    addresses = [it for it in host.addresses if family_of(it) == family] if masked else [answer.vip]
    ports = (own,) if own else _ports(answer)
    return (Wanted(answer.protocol, address, port) for address in addresses for port in ports)


def _ports(answer: Answer) -> tuple[int, ...]:
    """The ports that clients name; 0 is any. Of a long range nobody listens on all the time, so nothing is asked."""
    if not answer.ports:
        return (0,)
    ranges = [port_range(ports) for ports in answer.ports]
    return tuple(port for ports in ranges if len(ports) <= _LONG_RANGE for port in ports)


def request(protocol: Protocol, family: int) -> bytes:
    """Write the question for all listeners of a protocol and an address family."""
    number, states = _PROTOCOLS[protocol]
    return _REQUEST.pack(family, number, 0, 0, states, b"")


def decode(protocol: Protocol, payload: bytes) -> Listener:
    """Read one answer of inet_diag. Raises `BadKernelMessage`."""
    if len(payload) < _ANSWER.size:
        raise BadKernelMessage(f"an answer of inet_diag with {len(payload)} bytes")
    family, _, _, _, port, _, source, *_ = _ANSWER.unpack_from(payload)
    if family not in (socket.AF_INET, socket.AF_INET6):
        raise BadKernelMessage(f"an answer of inet_diag of family {family}")
    address = socket.inet_ntop(family, source[: 4 if family == socket.AF_INET else 16])
    only = attributes(payload, _ANSWER.size).get(_ONLY_V6, b"\0")[:1] == b"\1"
    return Listener(protocol, address, int.from_bytes(port, "big"), only)


def covers(listener: Listener, wanted: Wanted) -> bool:
    """Tell whether a listener takes what comes for the VIP."""
    if listener.protocol != wanted.protocol or (wanted.port and listener.port != wanted.port):
        return False
    if listener.address in (wanted.vip, f"::ffff:{wanted.vip}"):
        return True
    if ":" in wanted.vip:
        return listener.address == "::"
    return listener.address == "0.0.0.0" or (listener.address == "::" and not listener.only_v6)  # noqa: S104


def judge(wanted: Iterable[Wanted], listeners: Collection[Listener]) -> Iterable[Symptom]:
    """Say for every VIP and port that clients ask for whether a service answers there."""
    for want in wanted:
        if any(covers(listener, want) for listener in listeners):
            continue
        subject = service_identity(want.protocol, want.vip, want.port)
        same = sorted(
            {
                endpoint(it.address, it.port)
                for it in listeners
                if it.protocol == want.protocol and want.port and it.port == want.port
            }
        )
        if same:
            yield error(
                "R11", subject, f"the service listens on {' '.join(same)} only",
                "connections to the VIP are refused (RST) although the same port answers on the real server's own address",
                f"let the service listen on all addresses, or on {endpoint(want.vip, want.port)} too",
            )  # fmt: skip
        else:
            yield error(
                "R11", subject, "nothing listens on that port", "connections to the VIP are refused (RST)",
                "start the service, or take this real server out of the virtual service (weight 0)",
            )  # fmt: skip
