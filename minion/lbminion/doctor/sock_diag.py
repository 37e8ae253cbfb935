"""Asks the kernel for sockets that listen or call, by sock_diag. Judges nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

from lbminion.errors import kernel_said
from lbminion.netlink import message
from lbstates.kinds.service import Protocol

from . import listeners as listening
from . import own_clients
from .listeners import Listener
from .own_clients import Call

_NETLINK_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_TIMEOUT: Final = 5.0
_DATAGRAM: Final = 64 * 1024


def listeners(protocols: Iterable[Protocol]) -> list[Listener]:
    """Name all listeners of these protocols in this network namespace.

    Raises `OSError`, also for a protocol of which the kernel has no diagnosis; `BadKernelMessage`.
    """
    found: list[Listener] = []
    for protocol in protocols:
        payloads = _dumps([listening.request(protocol, family) for family in _FAMILIES])
        found += [listening.decode(protocol, payload) for payload in payloads]
    return found


def calls(vips: Sequence[str]) -> list[Call]:
    """Name the TCP connections from this network namespace to any of `vips`. Raises `OSError`, `BadKernelMessage`."""
    if not vips:
        return []
    return [own_clients.decode(payload) for payload in _dumps([own_clients.request(vips, it) for it in _FAMILIES])]


def _dumps(requests: Iterable[bytes]) -> list[bytes]:
    """Ask one after the other; return what was answered."""
    found: list[bytes] = []
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)) as opened:
        opened.settimeout(_TIMEOUT)
        opened.connect((0, 0))
        for sequence, request in enumerate(requests, start=1):
            opened.send(message.frame(_BY_FAMILY, message.REQUEST | message.DUMP, sequence, request))
            found += _answers(opened, sequence)
    return found


def _answers(opened: socket.socket, sequence: int) -> Iterable[bytes]:
    while True:
        for answer in message.split(opened.recv(_DATAGRAM)):
            if answer.sequence != sequence:
                continue
            if answer.type not in (message.ERROR, message.DONE):
                yield answer.payload
                continue
            refusal = message.refusal(answer)
            if refusal.errno:
                raise OSError(refusal.errno, kernel_said(refusal.errno, refusal.text))
            return
