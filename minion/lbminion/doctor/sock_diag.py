"""Asks the kernel for the sockets that listen, by sock_diag. Judges nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing
from typing import Final

from lbminion.errors import kernel_said
from lbminion.netlink import message
from lbstates.kinds.service import Protocol

from .listeners import Listener, decode, request

_NETLINK_SOCK_DIAG: Final = 4
_BY_FAMILY: Final = 20
_TIMEOUT: Final = 5.0
_DATAGRAM: Final = 64 * 1024


def listeners(protocols: Iterable[Protocol]) -> list[Listener]:
    """Name all listeners of these protocols in this network namespace.

    Raises `OSError`, also for a protocol of which the kernel has no diagnosis; `BadKernelMessage`.
    """
    found: list[Listener] = []
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)) as opened:
        opened.settimeout(_TIMEOUT)
        opened.connect((0, 0))
        for sequence, (protocol, family) in enumerate(
            ((protocol, family) for protocol in protocols for family in (socket.AF_INET, socket.AF_INET6)), start=1
        ):
            flags = message.REQUEST | message.DUMP
            opened.send(message.frame(_BY_FAMILY, flags, sequence, request(protocol, family)))
            found += [decode(protocol, payload) for payload in _answers(opened, sequence)]
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
